"""Servers that serve an ASGI app: accepting, and what a connection speaks."""
