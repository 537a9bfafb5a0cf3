"""The measurements of a rehearsal: losses, answers, and pauses of the machine."""
