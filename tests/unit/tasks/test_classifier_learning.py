"""What a classifier learns from and is judged by: creation, batches, losses, metrics, calibration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import heedful
from heedful.data import Example, ExampleStore
from heedful.errors import DataError, InputTooLongError, UnsupportedError
from heedful.evaluation import measure
from heedful.metrics import auroc, fit_temperature
from heedful.tasks import TextClassifier
from heedful.tasks.classification.losses import IGNORED, cross_entropy, mixed_cross_entropy
from heedful.training import Run

Rows = tuple[dict[str, Any], ...]
Stores = Callable[[Iterable[dict[str, Any]]], ExampleStore]
Untrained = Callable[..., TextClassifier]

NO_NOISE = {"label_smoothing": 0, "token_dropout": 0, "subword_dropout": 0, "mixup": 0}


def several(rows: Rows) -> list[dict[str, Any]]:
    """The rows with none, one or two labels each."""
    return [
        row | {"label": [[], [row["label"]], [row["label"], "any"]][number // 3 % 3]} for number, row in enumerate(rows)
    ]


# Creation


def test_labels_are_those_of_the_data_in_order(untrained: Untrained, rows: Rows) -> None:
    assert untrained(reversed(rows)).labels == ("card", "transfer", "weather")
    assert untrained(several(rows), labels="multi").labels == ("any", "card", "transfer", "weather")
    assert untrained(rows, out_of_scope="weather").labels == ("card", "transfer")


@pytest.mark.parametrize(("label", "found"), [("card", "only the label 'card'"), ("none", "no label")])
def test_fewer_than_two_labels_are_refused(untrained: Untrained, rows: Rows, label: str, found: str) -> None:
    with pytest.raises(DataError, match=f"the training data holds {found}, and a classifier needs two") as caught:
        untrained([row | {"label": label} for row in rows], out_of_scope="none")
    assert caught.value.exit_code == 2
    assert "'label'" in (caught.value.remedy or "")


def test_a_seed_decides_every_weight_and_leaves_the_global_state_alone(untrained: Untrained, rows: Rows) -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = untrained(rows, seed=5).network.state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    again, other = (untrained(rows, seed=seed).network.state_dict() for seed in (5, 6))
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    for name in ("model.token_embedding.weight", "head.output.weight"):
        assert not torch.equal(first[name], other[name])


def test_balanced_weights_are_in_inverse_proportion_to_frequency(untrained: Untrained, rows: Rows) -> None:
    """N / (C · count), so that the mean weight of an example is 1."""
    unequal = [row for number, row in enumerate(rows) if row["label"] != "card" or number % 4 == 0]
    counts = Counter(row["label"] for row in unequal)
    classifier = untrained(unequal, objective={"class_weights": "balanced"})
    assert classifier.class_weights is not None
    expected = [len(unequal) / (3 * counts[label]) for label in classifier.labels]
    assert classifier.class_weights.tolist() == pytest.approx(expected)
    assert max(expected) > 2 * min(expected)


def test_balanced_weights_of_several_labels_are_negatives_over_positives(untrained: Untrained, rows: Rows) -> None:
    data = several(rows)
    counts = Counter(label for row in data for label in row["label"])
    classifier = untrained(data, labels="multi", objective={"class_weights": "balanced"})
    assert classifier.class_weights is not None
    expected = [(len(data) - counts[label]) / counts[label] for label in classifier.labels]
    assert classifier.class_weights.tolist() == pytest.approx(expected)


# Batches


def test_a_batch_holds_the_texts_as_the_network_sees_them(untrained: Untrained, stores: Stores, rows: Rows) -> None:
    long = {"text": "card " * 40, "label": "card"}
    classifier, store = untrained(rows, max_length=16), stores([*rows[:5], long])
    batch = classifier.collate(store.take(range(6)))
    assert batch.owner is not None
    assert batch.owner.tolist() == [0, 1, 2, 3, 4] + [5] * (len(batch.ids) - 5)
    assert batch.num_tokens == int(batch.mask.sum()) == int(classifier.lengths(store).sum())
    assert batch.num_cells == batch.ids.numel() > batch.num_tokens
    assert batch.num_targets == 6
    assert batch.targets.tolist() == [classifier.labels.index(row["label"]) for row in [*rows[:5], long]]
    special = {classifier.tokenizer.special.bos, classifier.tokenizer.special.eos, classifier.tokenizer.special.pad}
    assert not special & set(batch.ids[batch.hideable].tolist())
    assert set(batch.ids[~batch.hideable].tolist()) == special


def test_out_of_scope_texts_weigh_nothing(untrained: Untrained, stores: Stores, rows: Rows) -> None:
    classifier = untrained(rows, out_of_scope="weather", objective={"class_weights": "balanced"})
    batch = classifier.collate(stores(rows).take(range(len(rows))))
    inside = batch.targets != IGNORED
    assert inside.tolist() == [row["label"] != "weather" for row in rows]
    assert classifier.class_weights is not None
    assert batch.num_targets == pytest.approx(float(classifier.class_weights[batch.targets[inside]].sum()))


def test_several_labels_become_a_row_of_zeros_and_ones(untrained: Untrained, stores: Stores, rows: Rows) -> None:
    data = several(rows)
    classifier = untrained(data, labels="multi")
    batch = classifier.collate(stores(data).take(range(6)))
    expected = [[int(label in row["label"]) for label in classifier.labels] for row in data[:6]]
    assert batch.targets.tolist() == expected
    assert batch.num_targets == 6


# Losses


@pytest.mark.parametrize("several_labels", [False, True])
def test_the_loss_is_the_weighted_smoothed_cross_entropy(
    untrained: Untrained, stores: Stores, rows: Rows, several_labels: bool
) -> None:
    data = several(rows) if several_labels else rows
    objective = {"label_smoothing": 0.2, "class_weights": "balanced", "token_dropout": 0, "mixup": 1}
    classifier = untrained(data, labels="multi" if several_labels else "single", objective=objective)
    classifier.network.eval()
    examples = stores(data).take(range(20))
    batch, logits = classifier.collate(examples), torch.from_numpy(classifier.score(examples).logits)
    assert classifier.class_weights is not None
    expected = cross_entropy(logits, batch.targets, class_weights=classifier.class_weights.double(), smoothing=0.2)
    assert float(classifier.loss(batch).detach()) == pytest.approx(float(expected), rel=1e-6)


def test_training_mixes_the_texts_of_a_batch(untrained: Untrained, stores: Stores, rows: Rows) -> None:
    classifier = untrained(rows, model={"dropout": 0}, head_dropout=0, objective=NO_NOISE | {"mixup": 0.5})
    batch = classifier.collate(stores(rows).take(range(20)))
    classifier.network.double().train()
    logits = classifier.head(classifier.model.encode(batch.ids, batch.mask), batch.mask)
    torch.manual_seed(3)
    expected = mixed_cross_entropy(logits, batch.targets, 0.5)
    torch.manual_seed(3)
    assert float(classifier.loss(batch).detach()) == pytest.approx(float(expected.detach()), rel=1e-12)
    classifier.network.eval()
    assert float(classifier.loss(batch).detach()) == pytest.approx(
        float(cross_entropy(logits, batch.targets).detach()), rel=1e-12
    )


def test_the_loss_of_windows_is_that_of_their_mean_logits(untrained: Untrained, stores: Stores, rows: Rows) -> None:
    data = [row | {"text": row["text"] * (1 + number % 3 * 8)} for number, row in enumerate(rows)]
    classifier = untrained(data, max_length=16, objective=NO_NOISE)
    classifier.network.double().eval()
    examples = stores(data).take(range(12))
    scored = classifier.score(examples)
    assert scored.windows.max() > 2
    batch = classifier.collate(examples)
    expected = cross_entropy(torch.from_numpy(scored.logits), batch.targets)
    assert float(classifier.loss(batch).detach()) == pytest.approx(float(expected), rel=1e-12)


def test_hidden_tokens_are_of_the_text_at_the_rate_asked_for_in_training_only(
    untrained: Untrained, stores: Stores, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = untrained(rows, objective=NO_NOISE | {"token_dropout": 0.25})
    batch = classifier.collate(stores(rows).take(range(len(rows))))
    seen: list[torch.Tensor] = []
    encode = classifier.model.encode

    def watch(ids: torch.Tensor, *rest: Any) -> torch.Tensor:
        seen.append(ids)
        return encode(ids, *rest)

    monkeypatch.setattr(classifier.model, "encode", watch)
    torch.manual_seed(0)
    for training in (True, False):
        classifier.network.train(training)
        classifier.loss(batch)
    hidden = torch.eq(seen[0], classifier.tokenizer.special.mask or -1)
    assert not (hidden & ~batch.hideable).any()
    assert float(hidden.sum() / batch.hideable.sum()) == pytest.approx(0.25, abs=0.06)  # 4 σ of 916 tokens
    assert torch.equal(seen[0][~hidden], batch.ids[~hidden])
    assert torch.equal(seen[1], batch.ids)


# Refusals before the work


def test_a_label_that_was_never_learnt_is_refused_with_the_nearest(
    untrained: Untrained, stores: Stores, rows: Rows
) -> None:
    classifier, store = untrained(rows), stores([*rows[:7], {"text": "hello", "label": "wether"}])
    expected = "row 8 has the label 'wether', which this classifier never learnt"
    for attempt in (
        lambda: classifier.check(store, name="x"),
        lambda: classifier.collate(store.take([7])),
        lambda: measure(classifier, store),
    ):
        with pytest.raises(DataError, match=expected) as caught:
            attempt()
        assert "did you mean weather?" in (caught.value.remedy or "")


def test_a_check_names_the_data(untrained: Untrained, stores: Stores, rows: Rows) -> None:
    with pytest.raises(DataError, match="the test data: row 1 has the label 'new'"):
        untrained(rows).check(stores([{"text": "a", "label": "new"}]), name="the test data")


def test_a_check_refuses_what_is_too_long(untrained: Untrained, stores: Stores, rows: Rows) -> None:
    classifier = untrained(rows, max_length=32, long_input="error")
    classifier.check(stores(rows), name="these")
    with pytest.raises(InputTooLongError, match="those: row 2: a text has"):
        classifier.check(stores([rows[0], rows[1] | {"text": "a " * 50}]), name="those")


def test_a_check_refuses_data_without_anything_in_scope(untrained: Untrained, stores: Stores, rows: Rows) -> None:
    classifier = untrained(rows, out_of_scope="oos")
    for data in ([], [{"text": "a", "label": "oos"}]):
        with pytest.raises(DataError, match="these: there is no example with a label"):
            classifier.check(stores(data), name="these")


@pytest.mark.parametrize("labels", [(), ("card", "weather")])
def test_not_exactly_one_label_is_refused(untrained: Untrained, rows: Rows, labels: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match=f"row 3 has {len(labels)} labels; this classifier gives one a text"):
        untrained(rows).targets([Example("text", None, labels, 3)])


def test_an_impossible_combination_is_refused(untrained: Untrained, rows: Rows) -> None:
    with pytest.raises(ValueError, match="abstain_below needs labels: single"):
        untrained(rows, labels="multi", abstain_below=0.5)


def test_long_pairs_cannot_be_read_in_windows(untrained: Untrained, stores: Stores, rows: Rows) -> None:
    pairs = [row | {"pair": "why " * 40} for row in rows]
    with pytest.raises(UnsupportedError, match="a pair of texts cannot be read in windows"):
        untrained(pairs, max_length=16).check(stores(pairs), name="these")
    untrained(pairs, max_length=16, long_input="truncate").check(stores(pairs), name="these")


# Judging


def test_metrics_are_those_of_the_answers(run: Run, stores: Stores, rows: Rows) -> None:
    store = stores(rows)
    answers = run.task.classify(list(store))
    evaluation = measure(run.task, store)
    right = [answer.label == row["label"] for answer, row in zip(answers, rows, strict=True)]
    likelihoods = [np.log(answer.scores[row["label"]]) for answer, row in zip(answers, rows, strict=True)]
    assert evaluation.metrics["accuracy"].value == np.mean(right) > 0.9
    assert evaluation.metrics["negative_log_likelihood"].value == pytest.approx(-np.mean(likelihoods), rel=1e-9)
    assert evaluation.num_examples == len(rows)
    assert evaluation.confusion is not None
    assert np.trace(evaluation.confusion.matrix) == sum(right)
    assert [scores.label for scores in evaluation.per_class] == list(run.task.labels)


def test_out_of_scope_texts_count_for_detection_only(run: Run, stores: Stores, rows: Rows, run_copy: Path) -> None:
    classifier = heedful.load(run_copy)
    classifier.card = classifier.card.model_copy(update={"out_of_scope": "oos"})
    outside = [{"text": text, "label": "oos"} for text in ("today please why", "not a my", "the the the", "请问")]
    evaluation = measure(classifier, stores([*rows, *outside]))
    inside = measure(run.task, stores(rows))
    assert evaluation.num_examples == len(rows)
    assert evaluation.metrics["accuracy"] == inside.metrics["accuracy"]
    answers = classifier.predict([row["text"] for row in [*rows, *outside]])
    scores = np.array([-answer.score for answer in answers])
    expected = auroc(scores, np.arange(len(answers)) >= len(rows))
    assert evaluation.extra["out_of_scope_auroc"] == pytest.approx(expected, abs=1e-12)
    assert expected > 0.9
    assert "4 of 124 texts are out of scope" in evaluation.notes
    assert "out_of_scope_auroc" not in inside.extra


def test_an_evaluation_says_what_was_cut_windowed_and_padded(untrained: Untrained, stores: Stores, rows: Rows) -> None:
    data = [*rows, {"text": "card " * 60, "label": "card"}, {"text": "rain " * 60, "label": "weather"}]
    said = {"window": "2 texts were read in windows of 32 tokens", "truncate": "2 texts were cut to 32 tokens"}
    for how, note in said.items():
        notes = measure(untrained(rows, max_length=32, long_input=how), stores(data)).notes
        assert note in notes
        assert any(each.startswith("padding ") for each in notes)


def test_nothing_cannot_be_judged(run: Run, stores: Stores) -> None:
    for attempt in (run.task.assess, run.task.calibrate):
        with pytest.raises(DataError, match="there is no example to evaluate"):
            attempt(stores([]))


@pytest.mark.parametrize("several_labels", [False, True])
def test_calibration_never_worsens_the_likelihood_and_is_kept(
    untrained: Untrained, stores: Stores, rows: Rows, several_labels: bool, tmp_path: Path
) -> None:
    data = several(rows) if several_labels else rows
    classifier = untrained(data, labels="multi" if several_labels else "single")
    torch.nn.init.normal_(classifier.head.output.weight, std=2)  # too sure of itself
    store = stores(data)
    before = measure(classifier, store)
    temperature = classifier.calibrate(store)
    after = measure(classifier, store)
    logits = classifier.score(list(store)).logits
    targets = classifier.targets(list(store))
    assert temperature == classifier.card.temperature > 1
    assert temperature == pytest.approx(fit_temperature(logits, targets.astype(bool) if several_labels else targets))
    name = "negative_log_likelihood"
    assert after.metrics[name].value < before.metrics[name].value
    classifier.save(tmp_path / "calibrated")
    assert heedful.load(tmp_path / "calibrated").card.temperature == temperature


def test_calibration_leaves_out_of_scope_texts_out(untrained: Untrained, stores: Stores, rows: Rows) -> None:
    classifier = untrained(rows, out_of_scope="weather")
    mixed = classifier.calibrate(stores(rows))
    inside = classifier.calibrate(stores([row for row in rows if row["label"] != "weather"]))
    assert mixed == pytest.approx(inside, rel=1e-6)
    assert mixed != 1
