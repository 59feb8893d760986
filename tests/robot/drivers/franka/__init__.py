"""Tests of hilserl.robot.drivers.franka."""
