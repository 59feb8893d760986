"""Robot server for arms, with its drivers, its HTTP interface, its client."""
