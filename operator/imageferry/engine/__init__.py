"""The machine that carries decisions out; it speaks to Azure and Kubernetes through the Protocols in `ports`."""
