"""Workloads and their containers, and the other objects that affect them."""
