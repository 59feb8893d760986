"""Tests of hilserl.robot.drivers.sim."""
