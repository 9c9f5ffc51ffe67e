"""The demo: everything real but Azure, from `kubectl apply` to deleted sources, in about a minute."""
