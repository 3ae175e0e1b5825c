"""One model against another on the same examples."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import heedful
from heedful.errors import RequestError
from heedful.evaluation import Evaluation, evaluate
from heedful.tasks import Tally, TextClassifier
from heedful.training import Run

Untrained = Callable[..., TextClassifier]
Rows = tuple[dict[str, Any], ...]


@pytest.fixture
def data(rows: Rows, jsonl: Callable[..., Path]) -> Path:
    return jsonl(rows)


@pytest.fixture
def compared(run: Run, untrained: Untrained, rows: Rows, data: Path) -> Evaluation:
    """A trained classifier against one that has learnt nothing."""
    return evaluate(run.task, data, against=untrained(rows), resamples=200)


def test_a_trained_classifier_is_better_than_an_untrained_one_by_every_metric(
    compared: Evaluation, untrained: Untrained, rows: Rows, data: Path
) -> None:
    rival = compared.against
    assert rival is not None
    alone = evaluate(untrained(rows), data, resamples=0)
    assert set(rival.metrics) == set(rival.randomised) == set(compared.metrics)
    for name, found in rival.metrics.items():
        value = compared.metrics[name]
        assert (found.first, found.second) == (alone.metrics[name].value, value.value)
        sign = 1 if value.direction == "higher" else -1
        assert sign * found.low > 0 or name == "ece", name
        assert sign * found.difference > 0, name
    assert rival.metrics["accuracy"].better == 1
    assert rival.metrics["accuracy"].p_value == 1 / 201
    assert rival.randomised["accuracy"] == 1 / 2001


def test_a_classifier_is_no_better_than_itself(run: Run, data: Path) -> None:
    """Chance explains every difference of 0; given as a folder, it is loaded, and named."""
    rival = evaluate(run.folder, data, against=run.folder, resamples=50).against
    assert rival is not None
    assert rival.name == str(run.folder)
    assert {(found.difference, found.p_value) for found in rival.metrics.values()} == {(0, 1)}
    assert set(rival.randomised.values()) == {1}


def test_it_goes_into_json_and_back(compared: Evaluation) -> None:
    assert compared.against is not None
    assert Evaluation.from_json(compared.to_json()) == compared


def test_the_terminal_shows_both_figures_the_difference_and_both_probabilities(compared: Evaluation) -> None:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(compared)
    assert isinstance(console.file, io.StringIO)
    table = console.file.getvalue().partition("against ")[2]
    assert table.startswith("a model made in this process, on the same 120 examples")
    words = next(line for line in table.splitlines() if line.strip().startswith("accuracy")).split()
    found = compared.against.metrics["accuracy"]  # type: ignore[union-attr]
    assert [float(word) for word in words[1:3]] == pytest.approx([100 * found.first, 100 * found.difference], abs=0.051)
    assert words[2].startswith("+")
    assert not any("…" in line for line in table.splitlines())
    assert words[-2:] == ["0.0050", "0.0005"]


def test_models_of_different_labels_are_not_compared(run: Run, untrained: Untrained, rows: Rows, data: Path) -> None:
    other = untrained([{**row, "label": row["label"].replace("card", "cards")} for row in rows])
    both_know = data.with_name("both.jsonl")
    lines = data.read_text(encoding="utf-8").splitlines(keepends=True)
    both_know.write_text("".join(line for line in lines if '"card"' not in line), encoding="utf-8")
    with pytest.raises(RequestError, match=r"knows 'card'; did you mean cards\?"):
        evaluate(other, both_know, against=run.task)


def test_intervals_are_needed(run: Run, data: Path) -> None:
    with pytest.raises(RequestError, match="the number of resamples or trials is 0"):
        evaluate(run.task, data, against=run.task, resamples=0)


def test_who_follows_the_work_sees_two_passes(run: Run, data: Path, rows: Rows) -> None:
    counts: list[int] = []

    class Watching(Tally):
        def restart(self) -> None:
            counts.append(self.texts)
            super().restart()

    tally = Watching()
    evaluate(run.task, data, against=run.task, resamples=10, tally=tally)
    assert counts == [len(rows)]
    assert tally.texts == len(rows)


def test_the_function_is_what_the_package_offers() -> None:
    assert heedful.evaluate is evaluate
