"""Contact sheets show the first and the last image of each episode."""

from pathlib import Path

import numpy as np
import pytest

from hilserl.data.png import decode_image
from hilserl.datasets.sheet import ContactSheet
from hilserl.datasets.source import view_of_steps
from hilserl.errors import HilserlError
from tests.support.recorded import SPEC, recorded_episode


def test_sheet_has_a_coloured_tile_for_each_episode(tmp_path: Path) -> None:
    sheet = ContactSheet()
    for number in range(8):
        sheet.add(view_of_steps("", recorded_episode(number, 4, success=number != 1), SPEC))
    sheet.write(tmp_path / "sheet.png")
    image = decode_image((tmp_path / "sheet.png").read_bytes()).astype(int)
    height, width = image.shape[0] // 2, image.shape[1] // 6
    good, bad = image[0, 0], image[0, width]
    assert good[1] > good[0]
    assert bad[0] > bad[1]
    assert (image[height:, 2 * width :] == 255).all()


def test_tile_shows_both_ends(tmp_path: Path) -> None:
    steps = recorded_episode(0, 4)
    steps[0].observation["front"][:], steps[-1].observation["front"][:] = 10, 240
    sheet = ContactSheet("front")
    sheet.add(view_of_steps("", steps, SPEC))
    sheet.write(tmp_path / "sheet.png")
    image = decode_image((tmp_path / "sheet.png").read_bytes())
    row = image[image.shape[0] // 2]
    assert (np.abs(row[20].astype(int) - 10) < 3).all()
    assert (np.abs(row[-20].astype(int) - 240) < 3).all()


def test_unknown_camera_and_missing_images_are_refused(tmp_path: Path) -> None:
    steps = recorded_episode(0, 2)
    with pytest.raises(HilserlError, match="no camera 'top'"):
        ContactSheet("top").add(view_of_steps("0", steps, SPEC))
    sheet = ContactSheet()
    sheet.add(view_of_steps("0", steps, SPEC.only(())))
    with pytest.raises(HilserlError, match="nothing to draw"):
        sheet.write(tmp_path / "sheet.png")
