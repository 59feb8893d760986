"""The simulated arm behind the server: scene, images and settings."""

import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.sim.control import MAX_STEP_M
from tests.support.loopback import until
from tests.support.robot_rig import HOME, Rig, sim_backend


def test_sim_routes_let_the_script_lift_the_cube(sim_rig: Rig) -> None:
    """Each step goes from the measured pose by the scaled action, ten times a second on the arm's clock."""
    assert sim_rig.post("/sim/reset", {"seed": 3}).json == {"reset": True}
    low, high = np.array(sim_rig.backend.box.low_m), np.array(sim_rig.backend.box.high_m)
    truth, next_s = sim_rig.get("/sim/truth").json, sim_rig.time_s()
    for _ in range(80):
        if truth["success"]:
            break
        action = np.clip(truth["expert_way"], -1.0, 1.0)
        if abs(action[3]) > 0.5:
            sim_rig.post("/open_gripper" if action[3] > 0 else "/close_gripper")
        goal = np.clip(sim_rig.state()["pose"][:3] + MAX_STEP_M * action[:3], low, high)
        sim_rig.post("/pose", {"arr": [*goal.tolist(), 1, 0, 0, 0]})
        next_s += 0.1
        until(lambda: sim_rig.time_s() >= next_s, "the next step")  # noqa: B023 (called at once)
        truth = sim_rig.get("/sim/truth").json
    assert truth["success"], truth
    assert truth["progress"] == pytest.approx(1.0, abs=0.05)
    assert sim_rig.post("/sim/reset", {"seed": 3}).status == 200
    assert sim_rig.get("/sim/truth").json["success"] is False
    assert sim_rig.post("/sim/reset", {"seed": -1}).status == 400


def test_sim_reflex_halts_the_arm(sim_rig: Rig) -> None:
    assert sim_rig.post("/sim/reflex", {"reason": "cartesian_reflex"}).json == {"halted": True}
    assert sim_rig.get("/health").json["halted_by"] == "reflex: cartesian_reflex"
    assert sim_rig.post("/pose", {"arr": HOME}).status == 409
    assert sim_rig.post("/recover").status == 200


def test_sim_images_show_the_arm_where_it_is(sim_rig: Rig) -> None:
    def image() -> np.ndarray:
        return sim_rig.backend.image("front", 64, 64)[0].astype(int)

    sim_rig.post("/sim/reset", {"seed": 1})
    first = image()
    sim_rig.post("/sim/reset", {"seed": 1})
    assert np.abs(image() - first).max() <= 2
    sim_rig.drive([0.5, 0.2, 0.2, 1, 0, 0, 0])
    assert np.abs(image() - first).max() > 50


def test_sim_backend_names_invalid_settings() -> None:
    with pytest.raises(HilserlError, match="reset posture"), sim_backend(reset_joints_rad=(9.0,) * 7):
        pass
