"""Tests of the LeRobotDataset."""
