"""Tests of hilserl.robot.drivers.lerobot."""
