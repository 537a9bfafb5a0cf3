"""The load generator: processes with clients, and their reports to the rehearsal."""
