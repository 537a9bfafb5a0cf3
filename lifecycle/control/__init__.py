"""The parts on the control thread: services, registries, probes, and active plugins."""
