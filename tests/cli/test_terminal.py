"""Log records on the terminal."""

import logging

import pytest
from tqdm import tqdm

from hilserl.cli.terminal import shown_on_terminal

LOG = logging.getLogger("hilserl.training.run")


def test_records_are_printed_as_plain_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_on_terminal():
        LOG.info("An evaluation: %d of %d.", 3, 5)
        LOG.debug("Too detailed.")
    LOG.info("Afterwards.")
    assert capsys.readouterr().out == "An evaluation: 3 of 5.\n"


def test_records_leave_a_progress_bar_whole(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_on_terminal(), tqdm(total=2, desc="train", ascii=True) as bar:
        bar.update()
        LOG.info("A sentence.")
        bar.update()
    captured = capsys.readouterr()
    assert captured.out == "A sentence.\n"
    assert "2/2" in captured.err
