#!/bin/sh
# Installs ROS 1 from Debian's packages, for the robot server's ros backend and its tests: rospy, messages, a master, roslaunch.
set -eu
[ -d /usr/lib/python3/dist-packages/rospy ] && command -v rosmaster >/dev/null 2>&1 && command -v roslaunch >/dev/null 2>&1 &&
    [ -d /usr/lib/python3/dist-packages/dynamic_reconfigure ] && [ -d /usr/lib/python3/dist-packages/actionlib_msgs ] && exit 0
packages="python3-rospy python3-rosmaster python3-roslaunch python3-genpy python3-geometry-msgs python3-sensor-msgs
 python3-actionlib-msgs python3-dynamic-reconfigure"
# shellcheck disable=SC2086 # one word a package
sh "$(dirname "$0")/apt.sh" $packages || {
    echo "The ros backend needs: sudo apt-get install" $packages >&2
    exit 1
}
