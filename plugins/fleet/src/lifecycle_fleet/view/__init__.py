"""Pods as people see them, from the objects of the API server. Pure functions."""
