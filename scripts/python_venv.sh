#!/bin/sh
# Makes a virtual environment: python_venv.sh PYTHON FOLDER. Installs Debian's venv module where it is missing.
set -eu
python=$1
folder=$2

if ! command -v "$python" >/dev/null 2>&1 || ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    sh "$(dirname "$0")/apt.sh" python3 python3-venv || {
        echo "Python with its venv module is missing. Run: sudo apt-get install python3 python3-venv" >&2
        exit 1
    }
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "hilserl needs Python 3.11 or newer; $python is $("$python" --version). Name another: make PYTHON=python3.12 ..." >&2
    exit 1
}
[ -x "$folder/bin/python" ] || "$python" -m venv "$folder"
