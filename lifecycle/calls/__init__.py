"""Calls between threads, and calls of plugins."""
