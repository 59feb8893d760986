"""`python -m hilserl` is the command `hilserl`."""

from hilserl.cli.main import command

command()
