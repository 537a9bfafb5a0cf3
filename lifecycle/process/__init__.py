"""The process: `run()` and its end, signals, and the watchdog."""
