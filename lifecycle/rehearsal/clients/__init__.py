"""The client side of the protocols: which requests were answered, and which were lost."""
