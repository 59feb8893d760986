"""Tests of hilserl.robot.http."""
