"""The API server: the kubeconfig, the requests, the watches, and commands inside pods."""
