"""Crossing threads, and calling plugins."""
