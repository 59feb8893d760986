"""Bridge to LeRobot's devices in an interpreter of their own."""
