"""The plot has a panel for each task and operator."""

from pathlib import Path

from PIL import Image

from hilserl.comparison.curves import plot_benchmark


def one_run(task: str, method: str, seed: int = 0) -> dict[str, object]:
    curve = [(0, 40.0, 0.0), (500, 90.0, 0.5 + 0.1 * seed), (500, 90.0, 1.0)]
    return {"task": task, "obs": "state", "people": "steady", "method": method, "seed": seed, "curve": curve}


def test_plot_grows_with_the_tasks_and_keeps_the_checksum(tmp_path: Path) -> None:
    one, four = tmp_path / "one.png", tmp_path / "four.png"
    plot_benchmark([one_run("a", "bc"), one_run("a", "rlpd", 1)], one, "checksum")
    plot_benchmark([one_run(task, "bc") for task in "abcd"], four)
    with Image.open(one) as small, Image.open(four) as large:
        assert small.info["Description"] == "checksum"
        assert large.width > small.width
        assert large.height > small.height
