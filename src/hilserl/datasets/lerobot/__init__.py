"""LeRobotDataset v3.0 in both directions, v2.1 to read."""
