"""The display of a running rehearsal."""
