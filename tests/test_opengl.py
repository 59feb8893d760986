"""OpenGL is chosen before MuJoCo is imported, and a missing library stops nothing that draws nothing."""

import os
import subprocess
import sys

import pytest

from hilserl import opengl

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="MuJoCo has one loader elsewhere")


@pytest.fixture(autouse=True)
def unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opengl, "trouble", "")
    monkeypatch.setenv("MUJOCO_GL", "egl")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [("bogus", "Invalid MUJOCO_GL='bogus': expected one of egl"), ("osmesa", "apt install libosmesa6")],
)
def test_loader_that_cannot_work_is_switched_off_with_a_reason(
    monkeypatch: pytest.MonkeyPatch, wanted: str, said: str
) -> None:
    monkeypatch.setenv("MUJOCO_GL", wanted)
    monkeypatch.setattr(opengl, "_loads", lambda _: False)
    opengl.choose()
    assert said in opengl.trouble
    assert os.environ["MUJOCO_GL"] == "disable"


@pytest.mark.parametrize("wanted", ["egl", "glfw", "disable", ""])
def test_loader_that_is_there_is_kept(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    monkeypatch.setenv("MUJOCO_GL", wanted)
    monkeypatch.setattr(opengl, "_loads", lambda _: True)
    opengl.choose()
    assert (opengl.trouble, os.environ["MUJOCO_GL"]) == ("", wanted)


def test_program_that_draws_nothing_needs_no_loader() -> None:
    """It ended with a traceback at the import; now only drawing is refused, in words."""
    code = (
        "from hilserl.tasks import make_sim_env\n"
        "make_sim_env('pick_cube', obs='state').reset(seed=0)\n"
        "try:\n"
        "    make_sim_env('pick_cube', obs='pixels').reset(seed=0)\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "MUJOCO_GL": "no"}
    )
    assert answer.stdout.startswith("HilserlError OpenGL cannot draw")
    assert "Invalid MUJOCO_GL='no'" in answer.stdout


def test_mujoco_imported_before_hilserl_is_named_with_the_remedy() -> None:
    code = (
        "import mujoco\n"
        "from hilserl.tasks import make_sim_env\n"
        "try:\n"
        "    make_sim_env('pick_cube', obs='pixels').reset(seed=0)\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    without = {
        name: text for name, text in os.environ.items() if name not in ("MUJOCO_GL", "DISPLAY", "WAYLAND_DISPLAY")
    }
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True, env=without
    )
    assert answer.stdout.startswith("HilserlError OpenGL cannot draw")
    assert "import hilserl first" in answer.stdout
    assert "MUJOCO_GL=egl" in answer.stdout
