"""Driver of the simulated Franka Panda."""
