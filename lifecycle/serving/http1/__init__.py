"""HTTP/1.1 and its WebSockets."""
