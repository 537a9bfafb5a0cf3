"""The process: `run()` and its end, signals, the watchdog."""
