"""Marker for guards that the tree does not meet yet."""

import pytest

still_to_do = pytest.mark.xfail(strict=False, reason="The tree does not meet this guard yet.")
