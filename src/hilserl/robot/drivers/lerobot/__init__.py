"""Driver of LeRobot's arms."""
