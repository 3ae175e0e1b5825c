"""Explanations made by hand, for the tests of what is made of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heedful.explanation.attention import AttentionView
from heedful.explanation.result import Explanation, LabelScores, Removal, Rival, Word, WrittenExplanation

CARD = "my card was not swallowed, it was stolen"
CARD_SCORES = (0.2, 1.5, 0.1, -1.25, 3.0, 0.0, 0.05, 0.1, -0.75)
OTHER_SCORES = (0.1, 1.0, 0.0, 0.5, -0.5, 0.0, 0.0, 0.0, 2.5)


def spans_of(text: str, words: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """[start, end) of words that follow one another in a text."""
    spans, place = [], 0
    for word in words:
        start = text.index(word, place)
        place = start + len(word)
        spans.append((start, place))
    return tuple(spans)


def words_of(text: str, words: Sequence[str], scores: Sequence[float]) -> tuple[Word, ...]:
    spans = spans_of(text, words)
    return tuple(Word(word, *span, score) for word, span, score in zip(words, spans, scores, strict=True))


def label_scores(label: str, probability: float, words: Sequence[float], bias: float, special: float) -> LabelScores:
    return LabelScores(label, probability, sum(words) + special + bias, bias, tuple(words), special)


def explanation_of(
    text: str = CARD,
    scores: Sequence[float] = CARD_SCORES,
    *,
    label: str = "card_swallowed",
    against: str | None = None,
) -> Explanation:
    """Of a text with blanks and one comma between its words; one special token at either end."""
    words = text.replace(",", " ,").split()
    special, bias = (0.25, -0.125), -0.5
    return Explanation(
        text=text,
        label=label,
        against=against,
        logit=sum(scores) + sum(special) + bias,
        probability=0.875,
        runner_up=Rival("card_stolen", 0.0625),
        tokens=("[CLS]", *words, "[SEP]"),
        scores=(special[0], *scores, special[1]),
        bias=bias,
        words=words_of(text, words, scores),
        method="contributions",
    )


def full_explanation() -> Explanation:
    """With all that may be there: other labels, removals, faithfulness, notes."""
    plain = explanation_of()
    return Explanation(
        **{
            **vars(plain),
            "labels": (
                label_scores("card_swallowed", 0.875, CARD_SCORES, -0.5, 0.125),
                label_scores("card_stolen", 0.0625, OTHER_SCORES, 0.25, -0.5),
                label_scores("top_up_failed", 0.03125, [-score for score in CARD_SCORES], 0.0, 0.125),
            ),
            "notes": ("the text was read in 2 windows, each explained by itself",),
            "windows": 2,
            "faithfulness": {"comprehensiveness": 0.4125, "sufficiency": 0.0625},
            "verify": (
                Removal(1, ("swallowed",), 0.5, 0.84375),
                Removal(2, ("swallowed", "card"), 0.25, 0.8125),
                Removal(3, ("swallowed", "card", "my"), 0.125, 0.75),
            ),
        }
    )


def written_explanation(
    text: str = "A dog runs. It barks loudly.", answer: str = "Ein Hund rennt. Er bellt laut."
) -> WrittenExplanation:
    """A translation word by word: each word looks most at the word in its place, and the last but one at no source."""
    words = text.replace(".", " .").split()
    written = [*answer.replace(".", " .").split(), "</s>"]
    rng = np.random.default_rng(0)
    source = rng.normal(0, 0.125, (len(written), len(words)))
    for number in range(min(len(words), len(written))):
        source[number, number] = 2.5
    prefix = np.tril(rng.normal(0, 0.25, (len(written), len(written))))
    special, start, bias = (rng.normal(0, 0.25, len(written)) for _ in range(3))
    share = np.linspace(0.75, 0.45, len(written))
    share[-2] = 0.125
    return WrittenExplanation(
        text=text,
        answer=answer,
        words=tuple(words),
        spans=spans_of(text, words),
        written=tuple(written),
        source=source,
        source_special=special,
        prefix=prefix,
        start=start,
        bias=bias,
        logits=source.sum(1) + special + prefix.sum(1) + start + bias,
        probabilities=np.linspace(0.5, 0.99, len(written)),
        source_share=share,
        alignment=tuple((number, number) for number in range(min(len(words), len(written)))),
        method="contributions",
        notes=("the end of the sentence was not written",),
    )


def attention(layers: int = 2, heads: int = 3, queries: int = 5, keys: int = 5) -> AttentionView:
    """Rows that sum to 1; head 0 of each layer looks at the key before, the others where they please."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (layers, heads, queries, keys))
    places = np.arange(queries)
    logits[:, 0, places, np.maximum(places - 1, 0) % keys] += 12
    weights = np.exp(logits)
    return AttentionView(
        tokens=tuple(f"key{number}" for number in range(keys)),
        queries=tuple(f"query{number}" for number in range(queries)),
        weights=weights / weights.sum(-1, keepdims=True),
        kind="cross",
        layers=tuple(range(layers)),
        heads=tuple(range(heads)),
        norms=weights,
    )
