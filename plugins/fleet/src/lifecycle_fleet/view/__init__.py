"""What the objects of the API server say about pods: pure functions."""
