"""What runs on the control thread: services and registries, probes, plugins put to work."""
