"""A server command as the main of the process: `lifecycle run -- COMMAND`."""
