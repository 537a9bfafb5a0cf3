"""The result of a rollout as text, as JSON or YAML, and as a page."""
