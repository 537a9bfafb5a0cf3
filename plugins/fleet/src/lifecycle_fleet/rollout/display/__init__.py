"""The display of a running rollout."""
