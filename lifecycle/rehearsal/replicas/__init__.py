"""The replicas: what they are made of, and how they are replaced."""
