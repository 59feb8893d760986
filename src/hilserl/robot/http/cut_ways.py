"""Warning of poses that the watchdog kept the tool from."""

from hilserl.robot.control.backend import Backend, LostError


class CutWayNotice:
    """Notice of the poses that were not reached, each told once."""

    def __init__(self, backend: Backend) -> None:
        self._backend, self._told = backend, 0

    def fresh(self) -> str | None:
        """Return the newest warning that was not returned yet."""
        try:
            cut = self._backend.cut_way()
        except LostError:
            return None  # Whoever needs the arm is told so.
        if cut.number == self._told:
            return None
        self._told = cut.number
        silent_s = self._backend.limits.watchdog_s
        return (
            f"The watchdog held the tool {1000 * cut.missing_m:.0f} mm and {cut.missing_rad:.2f} rad from the last "
            f"pose: none came for {silent_s:g} s. A client that sends one pose and waits needs a longer --watchdog-s; "
            "HIL-SERL's own clients need --client hil-serl."
        )
