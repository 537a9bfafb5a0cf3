"""Servers for ASGI apps: accepting connections, and the protocols on them."""
