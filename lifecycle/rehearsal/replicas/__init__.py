"""The replicas: their pod template, and how they are replaced."""
