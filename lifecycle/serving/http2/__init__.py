"""HTTP/2. It is imported only by a server that offers HTTP/2."""
