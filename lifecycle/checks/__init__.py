"""`lifecycle check`: what in a manifest will hurt, from reading it alone."""
