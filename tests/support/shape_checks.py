"""Check of types and array shapes in signatures at every call, for jaxtyping's import hook."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""The type checker; an int passes for a float, as in static checks."""
