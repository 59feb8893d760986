#!/usr/bin/env python3
"""Runs a controller of franka_node.py while it lives itself: controller.py WHICH ROBOT_IP LOAD_GRIPPER."""

import json
import os
import signal
import socket
import sys

# roslaunch ends its nodes with an interrupt.
signal.signal(signal.SIGINT, signal.SIG_DFL)

with socket.create_connection(("127.0.0.1", int(os.environ["FRANKA_PORT"]))) as line:
    line.sendall(json.dumps({"do": "start", "controller": sys.argv[1], "arguments": sys.argv[2:4]}).encode() + b"\n")
    while line.recv(4096):
        pass
