"""What the design promises, measured; run with `make bench`."""
