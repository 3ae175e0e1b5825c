"""Faithfulness is what the classifier does without the words that an explanation names."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from heedful.data import Example, ExampleStore
from heedful.errors import DataError, JobError, RequestError, UnsupportedError
from heedful.explanation import METHODS
from heedful.explanation.attention import attention
from heedful.explanation.faithfulness import (
    BASELINES,
    RANDOM,
    RATIOS,
    Faithfulness,
    Means,
    counts_of,
    measure_faithfulness,
    methods_of,
    removed,
)
from heedful.explanation.labels import read
from heedful.metrics import Metric, approximate_randomisation
from heedful.model import ClassificationHeadSpec, build_head
from heedful.tasks import ClassifierCard, Tally, TextClassifier
from heedful.text import LongInput, Tokenizer, TokenizerSettings
from heedful.training import Run

LABELS = ("negative", "neutral", "positive")
TEXT = "a dull plot and one very good scene"
Stores = Callable[..., ExampleStore]
Make = Callable[..., TextClassifier]


class Bag(nn.Module):
    """Each token's state is its vector, so that the mean makes logits linear in the tokens."""

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.d_model = 2
        self.table = nn.Embedding(vocabulary_size, self.d_model)

    def encode(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, S) -> (B, S, D)."""
        states: Tensor = self.table(ids)
        return states


@pytest.fixture
def bag() -> TextClassifier:
    """Logits are the mean of what words weigh: (0, -0, weight)."""
    tokenizer = Tokenizer.train([TEXT] * 9, TokenizerSettings(kind="wordpiece", vocabulary_size=200))
    head = ClassificationHeadSpec(num_labels=3)
    card = ClassifierCard(labels=LABELS, max_length=32, long_input=LongInput.ERROR, head=head)
    made = TextClassifier(Bag(tokenizer.vocabulary_size).double(), build_head(head, 2).double(), tokenizer, card)
    weights = {"dull": -4.0, "good": 12.0, "very": 6.0, "scene": 1.0, "one": 0.5}
    with torch.no_grad():
        assert isinstance(made.model, Bag)
        made.model.table.weight.zero_()
        for word, weight in weights.items():
            (encoding,) = tokenizer.encode_batch([word])
            (place,) = [place for place, special in enumerate(encoding.special) if not special]
            made.model.table.weight[encoding.ids[place], 0] = weight
        made.head.output.bias.zero_()
        made.head.output.weight.copy_(torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]]))
    return made


def measured(task: TextClassifier, store: ExampleStore, **options: Any) -> Faithfulness:
    return measure_faithfulness(task, store, **{"resamples": 20, **options})


def test_a_linear_classifier_has_the_figures_that_follow_by_hand(bag: TextClassifier, stores: Stores) -> None:
    (encoding,) = bag.tokenizer.encode_batch([TEXT])
    order = [12.0, 6.0, 1.0, 0.5, 0.0, 0.0, 0.0, -4.0]
    assert len(encoding) - sum(encoding.special) == len(order)

    def probability(kept: list[float]) -> float:
        return float(np.exp(sum(kept) / len(encoding)) / (2 + np.exp(sum(kept) / len(encoding))))

    full = probability(order)
    sizes = [1, 1, 1, 2, 4]
    found = measured(bag, stores([{"text": TEXT, "label": "neutral"}]), methods=["leave_one_out"])
    fall = [full - probability(order[k:]) for k in sizes]
    lack = [full - probability(order[:k]) for k in sizes]
    assert found.curves["leave_one_out"]["comprehensiveness"] == pytest.approx(fall, abs=1e-12)
    assert found.curves["leave_one_out"]["sufficiency"] == pytest.approx(lack, abs=1e-12)
    scores = found.scores("leave_one_out")
    assert scores["comprehensiveness"] == pytest.approx(np.mean(fall), abs=1e-12)
    assert scores["sufficiency"] == pytest.approx(np.mean(lack), abs=1e-12)
    deletion = [probability(order[k:]) for k in range(9)]
    insertion = [probability(order[:k]) for k in range(9)]
    for name, curve in (("deletion", deletion), ("insertion", insertion)):
        assert scores[name] == pytest.approx((sum(curve) - (curve[0] + curve[-1]) / 2) / 8, abs=1e-12)
    assert set(scores) == {"comprehensiveness", "sufficiency", "deletion", "insertion"}


def test_areas_and_ratios_follow_by_hand() -> None:
    assert counts_of(1) == [0, 1]
    assert counts_of(3) == [0, 1, 2, 3]
    assert counts_of(100) == [0, 1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    counts = counts_of(4)
    assert counts == [0, 1, 2, 3, 4]
    without, left = np.array([0.9, 0.5, 0.2, 0.1, 0.1]), np.array([0.1, 0.7, 0.8, 1.0, 0.9])
    expected = [0.4, 0.4, 0.4, 0.4, 0.7, 0.2, 0.2, 0.2, 0.2, 0.1, 0.325, 0.75]
    assert removed(without, left, counts) == pytest.approx(expected, abs=1e-12)


def test_what_names_the_words_that_decide_is_better_than_chance(run: Run, texts: list[str], stores: Stores) -> None:
    """On a trained model, whose words are planted; and chance is not better than itself: the control."""
    store = stores([{"text": text, "label": "card"} for text in texts[:40]])
    found = measured(run.task, store, methods=["contributions", RANDOM, "leave_one_out"], resamples=1000)
    ours, chance = found.methods["contributions"], found.methods[RANDOM]
    for metric in ("comprehensiveness", "insertion"):
        assert ours[metric].low > chance[metric].high  # type: ignore[operator]
    for metric in ("sufficiency", "deletion"):
        assert ours[metric].high < chance[metric].low  # type: ignore[operator]
    for metric, value in found.methods["leave_one_out"].items():
        assert value.value == pytest.approx(ours[metric].value, abs=0.05)
    mean: Metric[Any] = Metric("comprehensiveness", "higher", "", lambda means: means[:, 0])
    pair = [Means(found.values[name]["comprehensiveness"][:, None]) for name in (RANDOM, "contributions")]
    assert approximate_randomisation([mean], *pair, trials=999)["comprehensiveness"] == pytest.approx(0.001)
    assert approximate_randomisation([mean], pair[0], pair[0], trials=999)["comprehensiveness"] == 1


def test_an_explanation_of_another_text_is_worse(
    run: Run, texts: list[str], stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A method that ranks the words that count last must look bad."""
    store = stores([{"text": text, "label": "card"} for text in texts[:20]])
    good = measured(run.task, store, methods=["contributions"]).scores("contributions")
    score = METHODS["contributions"].score

    def upside_down(task: Any, rows: Any) -> Any:
        return [type(one)(one.logits, -one.scores, one.bias) for one in score(task, rows)]

    monkeypatch.setitem(METHODS, "contributions", type(METHODS["contributions"])(upside_down))
    bad = measured(run.task, store, methods=["contributions"]).scores("contributions")
    assert bad["comprehensiveness"] < good["comprehensiveness"] / 2
    assert bad["sufficiency"] > 2 * good["sufficiency"]


@pytest.mark.parametrize("method", [*METHODS, *BASELINES, RANDOM])
def test_a_text_alone_has_the_figures_that_it_has_among_others(untrained: Make, stores: Stores, method: str) -> None:
    """Texts in windows too: their words are hidden in each window that has them."""
    rows = [{"text": "my card is late " * count, "label": LABELS[count % 3]} for count in (1, 3, 9)]
    task = untrained(rows, max_length=16)
    task.network.double()
    together = measured(task, stores(rows), methods=[method])
    again = measured(task, stores(rows), methods=[method])
    last = measured(task, stores(rows[:1]), methods=[method])
    assert len(read(task, [Example(rows[2]["text"], None, (), 1)])[0].windows) > 1
    for metric, values in together.values[method].items():
        assert np.array_equal(values, again.values[method][metric], equal_nan=True)
        assert values[0] == pytest.approx(last.values[method][metric][0], abs=1e-12, nan_ok=True)
    assert together.methods == again.methods


def test_special_tokens_stay_and_nothing_is_tokenized_anew(
    untrained: Make, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"text": "my card, please", "label": label} for label in LABELS]
    task = untrained(rows)
    (encoding,) = task.tokenizer.encode_batch([rows[0]["text"]])
    seen: list[Tensor] = []
    forward = task.network.forward

    def watched(ids: Tensor, *others: Any) -> Any:
        seen.append(ids)
        return forward(ids, *others)

    monkeypatch.setattr(task.network, "forward", watched)
    measured(task, stores(rows[:1]), methods=["leave_one_out", RANDOM])
    ids = torch.cat(seen)
    own, special = torch.tensor(encoding.ids), torch.tensor(encoding.special)
    assert ids.shape[1] == len(own)
    hidden = torch.eq(ids, task.tokenizer.special.mask or 0)
    assert torch.equal(ids[~hidden], own.expand_as(ids)[~hidden])
    assert not hidden[:, special].any() and hidden[:, ~special].all(1).any()


def test_attention_is_that_of_the_last_layer_and_rollout_the_product(untrained: Make, stores: Stores) -> None:
    rows = [{"text": "my card is late today", "label": label} for label in LABELS]
    for pooling in ("mean", "first", "last"):
        task = untrained(rows, model={"num_layers": 2}, pooling=pooling)
        task.network.double()
        mean = attention(task, rows[0]["text"]).weights.mean(1)
        straight = (mean + np.eye(mean.shape[-1])) / 2
        (reading,) = read(task, [Example(rows[0]["text"], None, (), 1)])
        for name, matrix in (("attention", mean[-1]), ("rollout", straight[1] @ straight[0])):
            (scores,) = BASELINES[name].score(task, reading.rows(0, None))
            pooled = {"mean": matrix.mean(0), "first": matrix[0], "last": matrix[-1]}[pooling]
            assert scores.scores == pytest.approx(pooled, abs=1e-12)
            assert scores.logits == pytest.approx(task.score([Example(rows[0]["text"], None, (), 1)]).logits[0])


def test_people_s_marks_of_a_file_are_compared_with(bag: TextClassifier, jsonl: Callable[..., Path]) -> None:
    """The words by what they weigh: good very scene one | a plot and | dull; the rationale is "very good"."""
    tree = "(3 (1 (2 a) (1 (0 dull) (2 plot))) (3 (2 and) (3 (2 one) (4 (3 (2 very) (3 good)) (2 scene)))))"
    path = jsonl([{"text": TEXT, "label": "positive", "rationales": [[5, 7]], "tree": tree}])
    found = measure_faithfulness(bag, path, methods=["leave_one_out"], resamples=20)
    scores = found.scores("leave_one_out")
    assert scores["rationale_f1"] == scores["rationale_auprc"] == scores["rationale_iou_f1"] == 1
    assert scores["phrase_signs"] == 1
    assert 0.8 < scores["phrase_correlation"] < 1
    for name in ("agreement with people", "AUPRC ↑", "IoU F1 ↑", "correlation ↑", "signs ↑"):
        assert name in printed(found)


def test_marks_are_found_where_only_some_texts_are_taken(bag: TextClassifier, jsonl: Callable[..., Path]) -> None:
    """Evenly, for files are sorted by label."""
    marked = {"text": TEXT, "rationales": [[5, 7]]}
    paths = [jsonl([{"text": TEXT}] * 5, "a.jsonl"), jsonl([{"text": TEXT}, marked, {"text": "a plot"}], "b.jsonl")]
    tally = Tally()
    found = measure_faithfulness(bag, paths[1], methods=["leave_one_out"], limit=2, tally=tally, resamples=0)
    assert (tally.total, tally.texts, found.num_examples) == (2, 2, 2)
    assert found.values["leave_one_out"]["rationale_f1"].tolist() == pytest.approx([np.nan, 1.0], nan_ok=True)
    assert found.scores("leave_one_out")["rationale_f1"] == 1
    alone = measure_faithfulness(bag, paths[0], methods=["leave_one_out"], resamples=0)
    assert "rationale_f1" not in alone.scores("leave_one_out")


def test_it_is_shown_and_told(run: Run, texts: list[str], stores: Stores) -> None:
    store = stores([{"text": text, "label": "card"} for text in texts[:4]])
    found = measured(run.task, store)
    assert tuple(found.methods) == methods_of(run.task) == (*METHODS, *BASELINES, RANDOM)
    told = json.loads(found.to_json())
    assert told["ratios"] == list(RATIOS) and "values" not in told
    assert told["methods"]["contributions"]["deletion"]["value"] == found.scores("contributions")["deletion"]
    ClassifierCard.model_validate({**run.task.card.model_dump(), "faithfulness": {"x": found.scores(RANDOM)}})
    shown = printed(found)
    best = min(row["deletion"].value for row in found.methods.values())
    assert f"*{best:.3f}" in shown and "agreement" not in shown
    for name in ("integrated", "random", "siveness ↑", "sufficiency ↓", "insertion ↑", "95% intervals"):
        assert name in shown
    assert "interval" not in printed(measured(run.task, store, methods=[RANDOM], resamples=0))


def printed(found: Faithfulness) -> str:
    """On a terminal of the usual width, on which nothing is cut."""
    page = StringIO()
    Console(width=80, file=page).print(found)
    assert "…" not in page.getvalue()
    return page.getvalue()


def test_what_cannot_be_measured_is_refused(
    bag: TextClassifier, untrained: Make, stores: Stores, jsonl: Callable[..., Path]
) -> None:
    store = stores([{"text": TEXT, "label": "neutral"}])
    assert methods_of(bag) == ("leave_one_out", RANDOM)
    with pytest.raises(UnsupportedError, match="rollout does not suit this model"):
        measured(bag, store, methods=["rollout"])
    with pytest.raises(RequestError, match="'rolout' is no method; did you mean rollout"):
        measured(bag, store, methods=["rolout"])
    with pytest.raises(RequestError, match="no method is asked for"):
        measured(bag, store, methods=[])
    with pytest.raises(RequestError, match="limit is 0"):
        measured(bag, store, limit=0)
    with pytest.raises(DataError, match="no text to explain"):
        measured(bag, stores([]))
    with pytest.raises(DataError, match=r"rows.jsonl, line 2: the rationale \[6, 9\] is no"):
        measure_faithfulness(bag, jsonl([{"text": TEXT}, {"text": TEXT, "rationales": [[6, 9]]}]))
    with pytest.raises(DataError, match=r"rows.jsonl, line 2: the tree '\(3 \(2 a\)' does not end"):
        measure_faithfulness(bag, jsonl([{"text": TEXT}, {"text": "a", "tree": "(3 (2 a)"}]))
    with torch.no_grad():
        bag.head.output.bias[0] = torch.nan
    with pytest.raises(JobError, match="not finite"):
        measured(bag, store)
