"""The simulated Franka Panda as a driver."""
