"""The load generator: processes of clients, and what they tell the process that runs them."""
