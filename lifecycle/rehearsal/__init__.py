"""The rehearsal: a rollout under load on one machine, and a report of the lost requests."""
