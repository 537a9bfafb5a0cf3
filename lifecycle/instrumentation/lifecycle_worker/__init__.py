"""What a worker tells the parent of its command, and does in a drain."""
