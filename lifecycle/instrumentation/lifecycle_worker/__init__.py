"""The instrumentation: what a worker reports to its command's parent, and does in a drain."""
