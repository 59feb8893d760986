"""The benchmark of learning methods with simulated people."""
