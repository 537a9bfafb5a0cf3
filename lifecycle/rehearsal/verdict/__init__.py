"""The verdict of a rehearsal, and what to change."""
