"""What is seen while a rehearsal goes on."""
