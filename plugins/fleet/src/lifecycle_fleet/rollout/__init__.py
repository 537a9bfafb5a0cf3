"""A rollout of a Deployment, watched from its start to its end."""
