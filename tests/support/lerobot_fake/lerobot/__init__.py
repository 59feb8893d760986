"""The part of LeRobot's documented interface that the bridge uses."""
