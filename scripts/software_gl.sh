#!/bin/sh
# Installs software OpenGL (EGL) from Debian's packages, so that MuJoCo can render without a display.
set -eu
[ "$(uname -s)" = Linux ] || exit 0
find_library() { ldconfig -p 2>/dev/null | grep -q "$1"; }
if find_library 'libEGL\.so\.1' && find_library 'libOpenGL\.so\.0\|libGL\.so\.1' && [ -n "$(ls /usr/share/glvnd/egl_vendor.d 2>/dev/null)" ]; then
    exit 0
fi
sh "$(dirname "$0")/apt.sh" libegl1 libgl1 libegl-mesa0 libgl1-mesa-dri || {
    echo "Software OpenGL is missing. Run: sudo apt-get install libegl1 libgl1 libegl-mesa0 libgl1-mesa-dri" >&2
    exit 1
}
