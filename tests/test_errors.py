"""Errors name the value, the nearest name and the names that exist."""

import pytest

from hilserl.errors import unknown


@pytest.mark.parametrize(
    ("value", "existing", "expected"),
    [
        ("pick", ["push", "pick_1"], "Unknown task 'pick'. Did you mean 'pick_1'? Available: pick_1, push."),
        ("x", ["push"], "Unknown task 'x'. Available: push."),
        ("x", [], "Unknown task 'x'. Available: none."),
    ],
)
def test_unknown_name_suggests_the_nearest(value: str, existing: list[str], expected: str) -> None:
    assert str(unknown("task", value, existing)) == expected
