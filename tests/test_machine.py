"""Facts about this machine."""

import os

from hilserl.machine import cores


def test_cores_are_those_that_this_process_may_use() -> None:
    assert cores() == len(os.sched_getaffinity(0))
