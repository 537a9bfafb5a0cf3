"""What keeps a pod or a Deployment from being ready or gone: facts, rules and findings."""
