"""`lifecycle manifests`: Kubernetes manifests from the app's own settings."""
