"""The lease of the arm."""

import pytest

from hilserl.robot.http.lease import Client, HeldError, Lease


def test_lease_belongs_to_one_client_until_it_is_silent() -> None:
    now = 0.0
    lease = Lease(5.0, lambda: now)
    lease.claim(Client("a's secret", "a"))
    now = 4.0
    lease.claim(Client("a's secret", "a"))
    with pytest.raises(HeldError, match="a controls"):
        lease.claim(Client("b's secret", "b"))
    now = 9.5
    assert lease.holder is None
    lease.claim(Client("b's secret", "b"))
    with pytest.raises(HeldError, match="b controls"):
        lease.release(Client("a's secret", "a"))
    lease.release(Client("b's secret", "b"))
    lease.claim(Client("a's secret", "a"))
