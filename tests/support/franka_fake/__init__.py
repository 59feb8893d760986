"""Directory of the simulated pylibfranka, for `sys.path`."""
