"""TLS of connections. It is imported only by a server that has a certificate."""
