"""`lifecycle manifests`: what Kubernetes needs to run an app, from the app's own settings."""
