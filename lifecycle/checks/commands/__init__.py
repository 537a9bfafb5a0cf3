"""Commands of containers, hooks and probes: what their words show."""
