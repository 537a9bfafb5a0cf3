"""`lifecycle rehearse`: rolls a service over under load, and tells what was lost and why."""
