"""The lease of the arm."""

import pytest

from hilserl.robot.http.lease import HeldError, Lease


def test_lease_belongs_to_one_client_until_it_is_silent() -> None:
    now = 0.0
    lease = Lease(5.0, lambda: now)
    lease.claim("a")
    now = 4.0
    lease.claim("a")
    with pytest.raises(HeldError, match="a controls"):
        lease.claim("b")
    now = 9.5
    assert lease.holder is None
    lease.claim("b")
    with pytest.raises(HeldError, match="b controls"):
        lease.release("a")
    lease.release("b")
    lease.claim("a")
