"""Train a reward classifier on labelled images."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from hilserl.cli.parsing import TaskName, parse, require_task
from hilserl.errors import HilserlError
from hilserl.files import atomically
from hilserl.rewards.network import ClassifierConfig
from hilserl.settings import Count


@dataclass(frozen=True)
class ClassifierArguments:
    """Train a reward classifier on labelled images.

    The report is on episodes that training never sees. A classifier that is no better than chance is not written.
    """

    task: TaskName
    data: tuple[Path, ...]
    """Directories of labels, from `hilserl label`."""
    out: Path
    """File of the classifier. Its report is written beside it, as JSON and as two images."""
    seed: Count = 0
    """Seed of everything random, such as the held-out episodes."""
    config: Annotated[ClassifierConfig, tyro.conf.arg(name="")] = field(default_factory=ClassifierConfig)


def run(words: Sequence[str]) -> int:
    """Train a classifier and write it with its report."""
    arguments = parse("classifier", ClassifierArguments, require_task("classifier", words))
    task = arguments.task
    from hilserl.rewards.dataset import read_labels
    from hilserl.rewards.figures import plot_mistakes, plot_report
    from hilserl.rewards.train import train_classifier

    config, out = arguments.config, arguments.out
    with tqdm(desc="encode", unit="episode") as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        labels = read_labels(arguments.data, task, config.vision, config.classes, show)
    with tqdm(total=config.max_updates, desc="train", unit="update") as bar:

        def tell(updates: int, loss: float) -> None:
            bar.set_postfix(validation=f"{loss:.4f}")
            bar.update(updates - bar.n)

        trained = train_classifier(labels, config, arguments.seed, tell)
    classifier, found, facts = trained.classifier, trained.report, trained.classifier.report
    success, threshold = labels.classes[trained.rows] == config.classes - 1, classifier.log_odds
    report, sheet, figures = (out.with_suffix(end) for end in (".report.png", ".mistakes.png", ".json"))
    title = f"{task}: {len(success)} held-out images of {found.episodes} episodes"
    plot_report(report, trained.log_odds, success, threshold, title)
    mistakes = plot_mistakes(sheet, labels, trained.rows, trained.log_odds, threshold)
    atomically(figures, lambda part: part.write_text(json.dumps(facts, indent=2) + "\n"))
    print(found)
    print(f"threshold {classifier.threshold:.4f}, chosen on {facts['data']['validation']['episodes']} other episodes.")
    if config.false_positive_rate < facts["false_positive_rate_resolved"]:
        print(
            f"They hold too few images without success to tell {100 * config.false_positive_rate:.3g} % of false "
            f"positives from none (1 is {100 * facts['false_positive_rate_resolved']:.2g} %): none is let pass there."
        )
    print(f"Report: {figures}, {report}; {mistakes} of the images in {sheet} are mistakes.")
    refusal = found.refusal()
    if refusal:
        raise HilserlError(f"The classifier is refused, and {out} is not written: {refusal}")
    classifier.save(out)
    print(f"Classifier: {out}")
    return 0
