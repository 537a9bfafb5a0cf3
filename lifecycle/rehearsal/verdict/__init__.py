"""The result of a rehearsal, and what to change."""
