"""The operator has two seconds to deny a success."""

import pytest

from hilserl.data.spec import ExperienceSpec
from hilserl.operators.devices.device import Reading
from hilserl.operators.devices.key_map import Command
from hilserl.operators.human import HumanOperator, Role


class Keys:
    """A source whose commands are set by hand."""

    name = "keys"

    def __init__(self) -> None:
        self.commands: tuple[Command, ...] = ()

    def read(self) -> Reading:
        commands, self.commands = self.commands, ()
        return Reading(present=True, motion=(0.0,), commands=commands)


@pytest.mark.parametrize(
    ("command", "answer"), [(Command.FAILURE, False), (Command.SUCCESS, True), (Command.END, True), (None, None)]
)
def test_operator_has_two_seconds_to_deny(state_spec: ExperienceSpec, command: Command | None, answer: bool) -> None:
    keys, now, idles = Keys(), [0.0], []
    operator = HumanOperator([keys], state_spec.action, Role(), None, lambda: idles.append(1), lambda: now[0])
    assert operator.confirms() is None
    assert "success" in operator.message
    keys.commands = (command,) if command else ()
    assert operator.confirms() is answer
    if command is None:
        now[0] = 2.0
        assert operator.confirms() is True
        assert len(idles) == 2
    if command is not Command.END:
        assert operator.confirms() is None, "the next claim has its own two seconds"
