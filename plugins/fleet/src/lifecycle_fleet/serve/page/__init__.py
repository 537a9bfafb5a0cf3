"""The page for a browser: its files, and how they become one document."""
