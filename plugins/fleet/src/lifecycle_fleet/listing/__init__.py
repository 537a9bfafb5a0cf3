"""The list of `lifecycle fleet ls`: once, or each change of it."""
