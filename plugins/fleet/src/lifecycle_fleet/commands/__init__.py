"""The subcommands. Each module has `add(parser)` and `async run(options)`."""
