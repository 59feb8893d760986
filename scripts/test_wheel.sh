#!/bin/sh
# Installs the wheel into an empty virtual environment of each Python, and uses it there.
#
#     sh scripts/test_wheel.sh WHEEL [PYTHON...]
#
# Without a PYTHON it takes 3.11, 3.12 and 3.13, as far as this machine has them.
set -eu
wheel=$(readlink -f "$1")
shift

# find_python VERSION: prints an interpreter of that version that starts.
find_python() {
    for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python; do
        if "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "Python $1 is not on this machine." >&2
}

[ $# -gt 0 ] || set -- $(find_python 3.11) $(find_python 3.12) $(find_python 3.13)
for python in "$@"; do
    directory=$(mktemp -d)
    trap 'rm -rf "$directory"' EXIT
    "$python" -m venv "$directory/venv"
    "$directory/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$wheel"
    echo "=== $("$python" --version): $(du -sm "$directory/venv" | cut -f1) MB installed"
    (
        # An empty directory: nothing of the checkout can be imported or read.
        mkdir "$directory/empty"
        cd "$directory/empty"
        unset PYTHONPATH
        "$directory/venv/bin/hilserl" doctor
        "$directory/venv/bin/hilserl" demo --video demo.mp4
        "$directory/venv/bin/hilserl" train pick_cube --obs state --max-env-steps 200 --demonstrations 2 \
            --eval-every 100 --eval-episodes 2 --final-eval-episodes 2 --run-dir run
        test -s demo.mp4
        test -s run/result.json
    )
    rm -rf "$directory"
done
