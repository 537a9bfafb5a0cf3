"""TLS below connections: loaded by a server that has a certificate."""
