"""Steps become Arrow tables, and invalid steps are refused."""

import numpy as np
import pyarrow as pa
import pytest

from hilserl.data.arrow import from_table, to_table
from hilserl.data.spec import ExperienceSpec
from hilserl.errors import HilserlError
from tests.support.steps import make_episode, make_step


def test_images_are_tensor_columns(spec: ExperienceSpec) -> None:
    table = to_table(make_episode(0, 2), spec)
    assert isinstance(table.schema.field("observation.eye").type, pa.FixedShapeTensorType)


def test_spec_that_contradicts_its_columns_is_refused(spec: ExperienceSpec, state_spec: ExperienceSpec) -> None:
    table = to_table(make_episode(0, 1), spec).replace_schema_metadata({b"hilserl": state_spec.to_json().encode()})
    with pytest.raises(HilserlError, match="columns"):
        from_table(table)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(spec: ExperienceSpec, bad: float) -> None:
    step = make_step(0, 0)
    step.observation["state"][1] = bad
    with pytest.raises(HilserlError, match=r"state entry \w+\[\d\] is (nan|inf)"):
        to_table([step], spec)


@pytest.mark.parametrize("shape", [(3, 2, 3), (2, 3, 1)])
def test_image_of_another_shape_is_refused(spec: ExperienceSpec, shape: tuple[int, ...]) -> None:
    step = make_step(0, 0)
    step.observation["eye"] = np.zeros(shape, np.uint8)
    with pytest.raises(HilserlError, match="eye"):
        to_table([step], spec)
