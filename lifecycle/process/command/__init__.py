"""A command as the main of a process: `lifecycle run -- COMMAND`."""
