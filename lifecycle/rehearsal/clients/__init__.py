"""The clients' side of the protocols: what was answered, what was lost."""
