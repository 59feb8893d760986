#!/bin/sh
# Installs the console tests' programs: Chromium, an X server without a screen, and xdotool, which presses keys.
set -eu
missing=
command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || missing=chromium
command -v Xvfb >/dev/null 2>&1 || missing="$missing xvfb"
command -v xdotool >/dev/null 2>&1 || missing="$missing xdotool"
[ -z "$missing" ] && exit 0
# shellcheck disable=SC2086 # one word a package
sh "$(dirname "$0")/apt.sh" $missing || {
    echo "The console's tests need: sudo apt-get install $missing" >&2
    exit 1
}
