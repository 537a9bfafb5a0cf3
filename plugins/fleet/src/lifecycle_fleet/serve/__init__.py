"""`lifecycle fleet serve`: the pods as a page, as JSON and as metrics, for a team."""
