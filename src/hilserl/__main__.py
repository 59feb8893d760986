"""`python -m hilserl` is the command `hilserl`."""

import sys

from hilserl.cli.main import main

sys.exit(main())
