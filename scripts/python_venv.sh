#!/bin/sh
# python_venv.sh PYTHON DIRECTORY: makes a virtual environment; installs Debian's venv module if it is missing.
set -eu
python=$1
directory=$2

if ! command -v "$python" >/dev/null 2>&1 || ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    sh "$(dirname "$0")/apt.sh" python3 python3-venv || {
        echo "Python with its venv module is missing. Run: sudo apt-get install python3 python3-venv" >&2
        exit 1
    }
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "hilserl needs Python 3.11 or newer; $python is $("$python" --version). Use another one: make PYTHON=python3.12 ..." >&2
    exit 1
}
[ -x "$directory/bin/python" ] || "$python" -m venv "$directory"
