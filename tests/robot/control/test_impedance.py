"""Law and parameters of the impedance controller."""

import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.robot.control.impedance import Compliance, ImpedanceLaw
from tests.support.arms import pose_at


def test_impedance_law_clips_the_error_before_the_stiffness() -> None:
    """Beyond the set point along +x the clip is `clip_x`, before it `clip_neg_x`; forces computed by hand."""
    gains = Compliance(translational_stiffness=2000.0, translational_clip_x=0.0075, translational_clip_neg_x=0.002)
    law = ImpedanceLaw(gains)
    assert np.allclose(law.wrench(pose_at(0.5), pose_at(0.4))[:3], [-15.0, 0, 0])
    assert np.allclose(law.wrench(pose_at(0.4), pose_at(0.5))[:3], [4.0, 0, 0])
    assert np.allclose(law.wrench(pose_at(0.401), pose_at(0.4))[:3], [-2.0, 0, 0])


def test_impedance_law_sums_the_error_up_to_its_limit() -> None:
    law = ImpedanceLaw(Compliance(translational_stiffness=0.0, translational_Ki=10.0))
    forces = [law.wrench(pose_at(0.41), pose_at(0.4))[0] for _ in range(20)]
    assert np.allclose(forces[:3], [-0.1, -0.2, -0.3])
    assert np.isclose(forces[-1], -1.0), "the sum is at most 0.1 m"
    law.reset_integral()
    assert np.isclose(law.wrench(pose_at(0.41), pose_at(0.4))[0], -0.1)


def test_compliance_checks_names_and_ranges() -> None:
    assert len(Compliance().as_dict()) == 18
    assert Compliance().changed({"rotational_clip_neg_z": 0.5}).rotational_clip_neg_z == 0.1
    with pytest.raises(HilserlError, match="translational_stiffness"):
        Compliance().changed({"translation_stiffness": 1.0})
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(HilserlError, match="0 to 400"):
            Compliance().changed({"translational_damping": bad})
