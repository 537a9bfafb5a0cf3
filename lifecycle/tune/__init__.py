"""`lifecycle tune`: how long `settle` must be, from the drain reports in logs."""
