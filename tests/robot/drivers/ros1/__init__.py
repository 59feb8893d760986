"""Tests of hilserl.robot.drivers.ros1."""
