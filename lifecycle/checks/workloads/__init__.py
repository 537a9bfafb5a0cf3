"""What the rules look at: workloads, their containers, and what other objects do to them."""
