"""Real-time control of an arm."""
