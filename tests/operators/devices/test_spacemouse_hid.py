"""SpaceMouse reports and devices, with made-up libraries."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from hilserl.errors import HilserlError
from hilserl.operators.action_axes import AXES, STILL
from hilserl.operators.devices.spacemouse import SpaceMouseConfig, open_spacemice
from hilserl.operators.devices.spacemouse_hid import PySpaceMouse, SpaceMousePool, SpaceMouseState, attached_spacemice
from tests.support.devices import wait_for
from tests.support.layouts import SEVEN, TWO


def test_reports_of_every_interface_are_read_once_until_the_device_is_gone() -> None:
    specs = tuple(SimpleNamespace(byte=byte, bit=bit) for byte, bit in ((2, 4), (1, 1), (1, 0)))
    still = dict.fromkeys(AXES, 0.0)
    mute, speaking = (
        SimpleNamespace(info=SimpleNamespace(button_specs=specs), read=lambda: SimpleNamespace(t=-1.0, **still))
        for _ in range(2)
    )
    fake = PySpaceMouse([mute, speaking], LookupError)
    assert fake.read() is None
    said = still | {"x": 0.5, "yaw": -0.25}
    speaking.read = lambda: SimpleNamespace(t=1.0, buttons=[0, 1, 0], **said)
    assert fake.read() == SpaceMouseState((0.5, 0, 0, 0, 0, -0.25), (False, True))
    assert fake.read() is None
    speaking.read = lambda: {}["unplugged"]
    with pytest.raises(ConnectionError, match="gone"):
        fake.read()


class FakeHidapi:
    """HIDAPI and pyspacemouse with made-up devices.

    `interfaces` maps a path to model and interface number.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.interfaces: dict[str, tuple[str, int]] = {}
        self.opened: list[str] = []
        models = {name: SimpleNamespace(name=name, vendor_id=1, product_id=i) for i, name in enumerate("AB")}

        def find() -> list[SimpleNamespace]:
            return [
                SimpleNamespace(
                    path=path,
                    vendor_id=1,
                    product_id={"A": 0, "B": 1}.get(model, 7),
                    interface_number=number,
                    set_nonblocking=lambda _: None,
                )
                for path, (model, number) in reversed(self.interfaces.items())
            ]

        hub = self

        class Opening:
            def __init__(self, spec: Any, interface: Any) -> None:
                self.path = interface.path
                self.info = SimpleNamespace(button_specs=[SimpleNamespace(byte=1, bit=bit) for bit in (0, 1)])
                self.spec = spec

            def open(self) -> None:
                hub.opened.append(self.path)

            def read(self) -> Any:
                if self.path not in hub.interfaces:
                    raise LookupError(self.path)
                amount = 1.0 if self.path == "/dev/hidraw2" else -1.0
                return SimpleNamespace(t=1.0, buttons=[0, 0], **(dict.fromkeys(AXES, 0.0) | {"x": amount}))

            def close(self) -> None:
                """Nothing is open."""

        library = SimpleNamespace(
            get_device_specs=lambda: models,
            apply_axis_convention=lambda spec, _: spec,
            AxisConvention=SimpleNamespace(ROS="ros"),
            SpaceMouseDevice=Opening,
        )
        hid = SimpleNamespace(Enumeration=lambda: SimpleNamespace(find=find), HIDException=LookupError)
        monkeypatch.setitem(sys.modules, "pyspacemouse", library)
        monkeypatch.setitem(sys.modules, "easyhid", hid)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> FakeHidapi:
    return FakeHidapi(monkeypatch)


def test_interfaces_of_one_device_count_once(hub: FakeHidapi) -> None:
    assert attached_spacemice() == []
    hub.interfaces = {"/dev/hidraw1": ("keyboard", 0), "/dev/hidraw2": ("A", 0), "/dev/hidraw10": ("A", 0)}
    assert attached_spacemice() == ["A", "A"], "two of one model"
    hub.interfaces = {f"/dev/hidraw{n}": ("B", n % 3) for n in range(6)}
    assert attached_spacemice() == ["B", "B"], "two receivers with three interfaces each"
    hub.interfaces = {"/dev/hidraw3": ("B", 0), "/dev/hidraw4": ("B", 1), "/dev/hidraw5": ("A", 0)}
    assert attached_spacemice() == ["B", "A"]


def test_spacemice_drive_the_arms_in_the_order_of_attachment(hub: FakeHidapi) -> None:
    hub.interfaces = {"/dev/hidraw10": ("A", 0), "/dev/hidraw2": ("A", 0)}
    for layout, arms in ((TWO, ["left", "right"]), (SEVEN, [None])):
        mice = open_spacemice(layout, SpaceMouseConfig())
        assert [mouse.arm for mouse in mice] == arms
        for mouse, way in zip(mice, (1.0, -1.0), strict=False):
            wait_for(lambda mouse=mouse: mouse.read().moves)
            assert mouse.read().motion[0] == way
            mouse.close()
    del hub.interfaces["/dev/hidraw10"]
    (mouse,) = open_spacemice(TWO, SpaceMouseConfig())
    assert (mouse.name, mouse.arm) == ("SpaceMouse", None)
    mouse.close()
    hub.interfaces = {}
    with pytest.raises(HilserlError, match="No SpaceMouse is attached"):
        open_spacemice(TWO, SpaceMouseConfig())


def test_slot_that_lost_its_device_never_takes_that_of_another_slot(hub: FakeHidapi) -> None:
    two, ten = {"/dev/hidraw2": ("A", 0)}, {"/dev/hidraw10": ("A", 0)}
    pool = SpaceMousePool()
    hub.interfaces = two | ten
    assert pool.connect(0).read() == SpaceMouseState((1.0, *STILL[1:]))
    assert pool.connect(1).read() == SpaceMouseState((-1.0, *STILL[1:]))
    hub.interfaces = ten
    with pytest.raises(ConnectionError):
        pool.connect(0)
    hub.interfaces = two | ten
    assert pool.connect(0).read() == SpaceMouseState((1.0, *STILL[1:]))
    hub.interfaces = {}
    with pytest.raises(ConnectionError):
        pool.connect(1)
    hub.interfaces = ten
    with pytest.raises(ConnectionError):
        pool.connect(1)
    hub.interfaces = {"/dev/hidraw3": ("A", 0)}
    with pytest.raises(ConnectionError):
        pool.connect(1)
    assert pool.connect(0), "the first device that returns gets the first slot"
