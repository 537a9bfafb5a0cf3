"""HTTP/2: loaded by a server that speaks more than HTTP/1.1."""
