"""Tests of hilserl.robot.drivers."""
