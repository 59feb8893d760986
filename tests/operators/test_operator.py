"""The operator base class does nothing by default."""

from hilserl.operators.operator import NoOperator, Operator
from hilserl.operators.takeover import Intent


def test_operator_never_intervenes_by_default() -> None:
    for operator in (Operator(), NoOperator()):
        operator.begin_episode(0)
        assert operator.intent() == Intent(engaged=False)
        assert operator.confirms() is True
        operator.end_episode(success=True, intervened=False)
        assert not operator.done
