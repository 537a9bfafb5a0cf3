"""What a rehearsal has shown, and what to change."""
