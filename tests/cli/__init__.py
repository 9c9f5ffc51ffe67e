"""The kubectl plugin as users run it: a process, a kubeconfig, a terminal or none."""
