# MuJoCo 4 ships its bindings compiled and without type stubs.
from typing import Any

def __getattr__(name: str) -> Any: ...
