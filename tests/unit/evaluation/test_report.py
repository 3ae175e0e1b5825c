"""An evaluation as JSON, as files and on the terminal."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from heedful.errors import DataError, JobError, OutputError
from heedful.evaluation import report
from heedful.evaluation.report import Confusion, Evaluation
from heedful.metrics import (
    CLASSIFICATION_METRICS,
    MULTI_LABEL_METRICS,
    ClassScores,
    MetricValue,
    compute_metrics,
    confusion_matrix,
    per_class_table,
)


def evaluation_of(names: tuple[str, ...], *, resamples: int = 50) -> Evaluation:
    """20 examples a class; of class c, c (at most 19) are taken for the next class."""
    labels = np.repeat(np.arange(len(names)), 20)
    wrong = np.arange(len(labels)) % 20 < np.minimum(labels, 19)
    predictions = np.where(wrong, (labels + 1) % len(names), labels)
    probabilities = np.eye(len(names))[predictions]
    return Evaluation(
        metrics=compute_metrics(CLASSIFICATION_METRICS, labels, probabilities, resamples=resamples),
        num_examples=len(labels),
        seconds=2.5,
        per_class=per_class_table(labels, predictions, names),
        confusion=Confusion.of(names, confusion_matrix(labels, predictions, len(names))),
        notes=("3 texts were cut to 512 tokens.",),
        extra={"out_of_scope_auroc": 0.9512},
    )


def shown(evaluation: Evaluation, width: int = 80) -> list[str]:
    """The lines that a terminal without colour shows."""
    console = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False)
    console.print(evaluation)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def line_of(lines: list[str], start: str) -> str:
    (found,) = [line for line in lines if line.strip().startswith(start)]
    return found


# --- JSON -------------------------------------------------------------------------------------------------

numbers = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, 10**9)
values = st.builds(
    MetricValue,
    value=numbers,
    low=st.none() | numbers,
    high=st.none() | numbers,
    direction=st.sampled_from(["higher", "lower"]),
    unit=st.sampled_from(["%", "nats", ""]),
    confidence=st.floats(0.01, 0.99),
)
# Surrogates stand alone in no text that was read as UTF-8.
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
evaluations = st.builds(
    Evaluation,
    metrics=st.dictionaries(words, values, max_size=3),
    num_examples=counts,
    seconds=numbers,
    per_class=st.lists(st.builds(ClassScores, words, numbers, numbers, numbers, counts, counts), max_size=3).map(tuple),
    confusion=st.none()
    | st.integers(1, 3).flatmap(
        lambda size: st.builds(
            Confusion,
            st.tuples(*[words] * size),
            st.tuples(*[st.tuples(*[counts] * size)] * size),
        )
    ),
    notes=st.lists(words, max_size=2).map(tuple),
    extra=st.dictionaries(words, numbers, max_size=2),
)


@given(evaluation=evaluations)
def test_json_round_trip(evaluation: Evaluation) -> None:
    assert Evaluation.from_json(evaluation.to_json()) == evaluation


def test_json_says_what_each_number_means_and_keeps_a_row_on_a_line() -> None:
    text = evaluation_of(("退款", "b")).to_json()
    document = json.loads(text)
    assert document["metrics"]["accuracy"].keys() == {"value", "low", "high", "direction", "unit", "confidence"}
    assert document["metrics"]["accuracy"]["value"] == 39 / 40
    assert document["confusion"] == {"labels": ["退款", "b"], "counts": [[20, 0], [1, 19]]}
    assert "      [20, 0],\n      [1, 19]\n" in text
    assert "退款" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "JSON"),
        ('{"metrics": {}}', "num_examples"),
        ('{"metrics": {"accuracy": {"value": "high"}}, "num_examples": 1, "seconds": 1}', r"accuracy\.value"),
        ("[1]", "the whole"),
    ],
)
def test_what_is_no_evaluation_is_refused_with_every_fault(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        Evaluation.from_json(text)
    assert caught.value.remedy


# --- files ------------------------------------------------------------------------------------------------


def test_save_writes_the_numbers_the_table_and_the_pictures(tmp_path: Path) -> None:
    evaluation = evaluation_of(("a,b", 'quoted "c"', "退款"))
    evaluation.save(tmp_path / "run" / "test")
    written = {path.name for path in (tmp_path / "run" / "test").iterdir()}
    assert written == {"evaluation.json", "per_class.csv", "confusion_matrix.svg", "confusion_matrix.png"}
    assert Evaluation.from_json((tmp_path / "run/test/evaluation.json").read_text("utf-8")) == evaluation
    with (tmp_path / "run/test/per_class.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["a,b", 'quoted "c"', "退款"]
    for row, scores in zip(rows, evaluation.per_class, strict=True):
        assert float(row["f1"]) == scores.f1
        assert int(row["support"]) == scores.support == 20


def test_save_without_classes_writes_the_numbers_alone_in_a_folder_named_by_a_string(tmp_path: Path) -> None:
    replace(evaluation_of(("a", "b")), per_class=(), confusion=None).save(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["evaluation.json"]


def test_a_failure_while_saving_leaves_the_previous_evaluation_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluation_of(("a", "b")).save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fill_the_disk(*_: object) -> None:
        raise JobError("the disk filled up")

    monkeypatch.setattr(report, "save_confusion_matrix", fill_the_disk)
    with pytest.raises(JobError):
        evaluation_of(("x", "y", "z")).save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_place_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        evaluation_of(("a", "b")).save(tmp_path / "file")


# --- terminal ---------------------------------------------------------------------------------------------


def test_terminal_shows_metrics_with_intervals_units_and_direction() -> None:
    evaluation = evaluation_of(("a", "b", "c"))
    lines = shown(evaluation)
    assert lines[0].strip() == "60 examples in 2.5 s, 24 a second"
    accuracy = evaluation.metrics["accuracy"]
    assert line_of(lines, "accuracy").split() == ["accuracy", "95.0", "%", *accuracy.interval.split(), "higher"]
    assert line_of(lines, "negative log likelihood").split()[4] == "nats"
    assert line_of(lines, "out of scope AUROC").split()[-1] == "0.951"
    assert "95% interval" in line_of(lines, "metric")
    assert line_of(lines, "! 3 texts") == " ! 3 texts were cut to 512 tokens.".ljust(len(line_of(lines, "! 3 texts")))


def test_terminal_without_intervals_has_no_column_for_them() -> None:
    lines = shown(evaluation_of(("a", "b"), resamples=0))
    assert line_of(lines, "metric").split() == ["metric", "value", "better"]
    assert line_of(lines, "accuracy").split() == ["accuracy", "97.5", "%", "higher"]


def test_terminal_shows_the_worst_classes_and_the_most_confused_pairs_first() -> None:
    lines = shown(evaluation_of(tuple(f"class_{n:02}" for n in range(15))))
    heading = lines.index(line_of(lines, "10 of 15 classes, worst first"))
    rows = [line.split() for line in lines[heading + 3 : heading + 13]]
    scores = [float(row[3]) for row in rows]
    assert scores == sorted(scores)
    assert rows[0][0] == "class_14"
    assert rows[0][1:] == ["31.6", "30.0", "30.8", "20"]  # 6 of 19 that were taken for it, 6 of its 20
    heading = lines.index(line_of(lines, "most confused"))
    pairs = [line.split() for line in lines[heading + 3 : heading + 13]]
    assert pairs[0] == ["14", "class_14", "class_00"]
    assert pairs[1] == ["13", "class_13", "class_14"]
    assert len(pairs[-1]) == 3


def test_terminal_shows_all_of_a_few_classes_and_no_class_that_never_occurs() -> None:
    evaluation = evaluation_of(("a", "b"))
    absent = ClassScores("absent", 0.0, 0.0, 0.0, support=0, predicted=0)
    lines = shown(replace(evaluation, per_class=(*evaluation.per_class, absent)))
    assert line_of(lines, "classes, worst first")
    assert not any("absent" in line for line in lines)


def test_terminal_without_errors_has_no_confused_pairs() -> None:
    labels = np.arange(4) % 2
    right = Confusion.of(("a", "b"), confusion_matrix(labels, labels, 2))
    assert not any("confused" in line for line in shown(replace(evaluation_of(("a", "b")), confusion=right)))


def test_terminal_shows_several_labels_an_example() -> None:
    labels = np.random.default_rng(0).random((30, 3)) < 0.5
    metrics = compute_metrics(MULTI_LABEL_METRICS, labels, np.where(labels, 0.8, 0.3), resamples=10)
    table = per_class_table(labels, labels, ["a", "b", "c"])
    lines = shown(Evaluation(metrics=metrics, num_examples=30, seconds=0.0, per_class=table))
    assert lines[0].strip() == "30 examples in 0.0 s"
    assert line_of(lines, "Hamming loss")
    assert line_of(lines, "subset accuracy").split()[2] == "100.0"


LABELS = {
    "long": tuple(f"a_very_long_name_of_a_class_that_goes_on_and_on_{n}" for n in range(12)),
    "Chinese": tuple(f"退款没有到账的问题应该怎么样才能解决第{n}类" for n in range(12)),
    "mixed": ("[bold]not markup[/bold]", "退款", "two\nlines", "\x1b[31mred"),
}


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("kind", LABELS)
def test_terminal_tables_fit_and_their_columns_align(kind: str, width: int) -> None:
    lines = shown(evaluation_of(LABELS[kind]), width)
    assert all(cell_len(line) <= width for line in lines)
    assert len(lines) < 50
    heading = next(n for n, line in enumerate(lines) if "worst first" in line)
    rows = lines[heading + 3 : heading + 3 + min(len(LABELS[kind]), 10)]
    # All numbers of a column end in the same cell of the terminal.
    assert len({cell_len(row.rstrip()) for row in rows}) == 1
    assert all(row.rstrip().endswith("20") for row in rows)


def test_terminal_shows_square_brackets_of_labels_as_they_are() -> None:
    assert any("[bold]not markup[/bold]" in line for line in shown(evaluation_of(LABELS["mixed"]), 100))


def test_not_a_number_never_reaches_a_file() -> None:
    evaluation = replace(evaluation_of(("a", "b")), extra={"auroc": math.nan})
    with pytest.raises(ValueError, match="not JSON compliant"):
        evaluation.to_json()
