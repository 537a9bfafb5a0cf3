"""`lifecycle check`: find problems in manifests by reading them."""
