"""Why a classifier gives a label. W words, C labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from heedful.data import Example
from heedful.errors import JobError, RequestError
from heedful.explanation.contributions import contributions, gradient_input
from heedful.explanation.integrated import integrated_gradients
from heedful.explanation.occlusion import hidden_logits, leave_one_out
from heedful.explanation.result import Explanation, LabelScores, Removal, Rival, Word
from heedful.explanation.rows import Row, RowScores
from heedful.explanation.words import owners, whole_words
from heedful.model import Transformer
from heedful.settings import nearest
from heedful.tasks import TextClassifier
from heedful.tasks.classification.answers import example_of, probabilities_of
from heedful.tasks.classification.reading import windows_of
from heedful.tasks.text_to_text.trust.words import Spans
from heedful.text import Encoding, LongInput
from heedful.text.pieces import Span
from heedful.text.sentences import split_sentences

REMOVALS = (1, 2, 3, 5, 8)
"""Words that are hidden to verify an explanation."""
DRAWS = 20
"""Random choices of as many words, which are averaged; of a text in windows a share of that, where words count less."""
FEWEST_DRAWS = 4


@dataclass(frozen=True)
class Method:
    """A way to give parts of a text their scores."""

    score: Callable[[TextClassifier, Sequence[Row]], list[RowScores]]
    by_group: bool = False
    """Whether it scores words, not tokens."""


METHODS = {
    "contributions": Method(contributions),
    "integrated_gradients": Method(integrated_gradients),
    "gradient_input": Method(gradient_input),
    "leave_one_out": Method(leave_one_out, by_group=True),
}
"""By name."""


def explain_labels(
    task: TextClassifier,
    texts: Sequence[str | tuple[str, str]],
    *,
    target: str | None = None,
    against: str | None = None,
    method: str | None = None,
    labels: int = 0,
    verify: bool = False,
    by_sentence: bool = False,
) -> list[Explanation]:
    """Explain the answer for each text; see :func:`heedful.explain`."""
    for label in (target, against):
        if label is not None and label not in task.labels:
            raise RequestError(f"{label!r} is no label of this classifier; {nearest(label, task.labels)}")
    if against is not None and against == target:
        raise RequestError(f"{target!r} cannot stand against itself", remedy="Name two labels.")
    name = method or ("contributions" if isinstance(task.model, Transformer) else "leave_one_out")
    if name not in METHODS:
        raise RequestError(f"{name!r} is no method; {nearest(name, METHODS)}")
    examples = [example_of(text, number) for number, text in enumerate(texts, 1)]
    readings = read(task, examples, by_sentence=by_sentence)
    pick = task.labels.index
    explained = _explain(
        task, readings, None if target is None else pick(target), None if against is None else pick(against), name
    )
    if labels:
        explained = [_with_labels(task, *pair, labels, name) for pair in zip(readings, explained, strict=True)]
    if verify:
        explained = [_verified(task, *pair) for pair in zip(readings, explained, strict=True)]
    return explained


@dataclass(frozen=True)
class Reading:
    """A text as the network sees it."""

    text: str
    """Of a pair, both, on lines of their own."""
    second: int
    """Where the second text of a pair begins."""
    windows: tuple[Encoding, ...]
    words: tuple[Span, ...]
    notes: tuple[str, ...]

    def spans(self, window: Encoding) -> Spans:
        """Where the tokens of a window stand in the text; None where they come from none."""
        begins = {None: None, 0: 0, 1: self.second}
        return tuple(
            None if (begin := begins[of]) is None else (start + begin, end + begin)
            for (start, end), of in zip(window.offsets, window.texts, strict=True)
        )

    def groups(self, window: Encoding) -> dict[int, list[int]]:
        """The words of a window by number, with the places of their tokens."""
        groups: dict[int, list[int]] = {}
        for place, word in enumerate(owners(self.spans(window), self.words)):
            if word is not None:
                groups.setdefault(word, []).append(place)
        return groups

    def by_word(self, windows: Sequence[RowScores], *, by_group: bool) -> NDArray[np.float64]:
        """What a method says of each window -> scores of the words, (W,), the mean over windows."""
        scores = np.zeros(len(self.words))
        for window, found in zip(self.windows, windows, strict=True):
            for number, (word, places) in enumerate(self.groups(window).items()):
                scores[word] += found.scores[number] if by_group else found.scores[places].sum()
        return scores / len(windows)

    def rows(self, label: int | None, against: int | None) -> list[Row]:
        """Each window, with what is claimed."""
        return [Row(window, tuple(map(tuple, self.groups(window).values())), label, against) for window in self.windows]


def read(task: TextClassifier, examples: Sequence[Example], *, by_sentence: bool = False) -> list[Reading]:
    """Texts in windows: one that the model would refuse for its length is read in windows, too.

    Args:
        by_sentence: sentences stand where words do.
    """
    card = task.card
    refuses = card.long_input is LongInput.ERROR
    fitted = windows_of(
        examples, task.tokenizer, card.model_copy(update={"long_input": LongInput.WINDOW}) if refuses else card
    )
    readings = []
    for example, fit in zip(examples, fitted, strict=True):
        text = example.text if example.pair is None else f"{example.text}\n{example.pair}"
        notes = []
        if len(fit.windows) > 1:
            usual = "" if not refuses else "; in use, this model refuses so long a text"
            notes.append(f"read in {len(fit.windows)} windows of up to {card.max_length} tokens, and averaged{usual}")
        if fit.cut_tokens:
            notes.append(f"{fit.cut_tokens} tokens were cut, and have no part in the answer")
        reading = Reading(text, len(example.text) + 1, fit.windows, (), tuple(notes))
        tokens = tuple(span for window in fit.windows for span in reading.spans(window))
        words = split_sentences(text).spans if by_sentence else whole_words(text, tokens)
        readings.append(replace(reading, words=words))
    return readings


def _explain(
    task: TextClassifier, readings: Sequence[Reading], label: int | None, against: int | None, name: str
) -> list[Explanation]:
    """All texts by one method; the windows of all go through the network together."""
    chosen = [label if label is not None or len(r.windows) == 1 else _most_probable(task, r) for r in readings]
    rows = [row for reading, own in zip(readings, chosen, strict=True) for row in reading.rows(own, against)]
    scored = iter(METHODS[name].score(task, rows))
    return [
        _explanation(task, reading, [next(scored) for _ in reading.windows], (own, against), name)
        for reading, own in zip(readings, chosen, strict=True)
    ]


def _most_probable(task: TextClassifier, reading: Reading) -> int:
    rows = reading.rows(None, None)
    return int(hidden_logits(task, rows, [()] * len(rows)).mean(axis=0).argmax())


def _explanation(
    task: TextClassifier,
    reading: Reading,
    windows: Sequence[RowScores],
    claim: tuple[int | None, int | None],
    name: str,
) -> Explanation:
    logits = np.mean([window.logits for window in windows], axis=0)
    if not np.isfinite(logits).all():
        raise JobError(
            f"the model's logits for {reading.text!r:.60} are not finite",
            remedy="Look at its weights with heedful doctor; in half precision, load it with dtype float32.",
        )
    label, against = (int(logits.argmax()) if claim[0] is None else claim[0]), claim[1]
    if label == against:
        raise RequestError(
            f"{task.labels[label]!r} is the answer itself, and cannot stand against it", remedy="Name a target too."
        )
    by_word = reading.by_word(windows, by_group=METHODS[name].by_group)
    tokens: list[str] = []
    scores: list[float] = []
    if not METHODS[name].by_group:
        for window, found in zip(reading.windows, windows, strict=True):
            tokens += _pieces(task, reading, window)
            scores += (found.scores / len(windows)).tolist()
    words = [
        Word(reading.text[start:end], start, end, score)
        for (start, end), score in zip(reading.words, by_word.tolist(), strict=True)
    ]
    probabilities = probabilities_of(logits[None], task.card)[0]
    order = [number for number in np.argsort(-probabilities, kind="stable").tolist() if number != label]
    biases = [window.bias for window in windows if window.bias is not None]
    return Explanation(
        text=reading.text,
        label=task.labels[label],
        against=None if against is None else task.labels[against],
        logit=float(logits[label] - (0.0 if against is None else logits[against])),
        probability=float(probabilities[label]),
        runner_up=Rival(task.labels[order[0]], float(probabilities[order[0]])),
        tokens=tuple(tokens) or tuple(word.text for word in words),
        scores=tuple(scores) or tuple(by_word.tolist()),
        bias=float(np.mean(biases)) if biases else None,
        words=tuple(words),
        method=name,
        windows=len(windows),
        notes=reading.notes,
        faithfulness=task.card.faithfulness.get(name),
    )


def _pieces(task: TextClassifier, reading: Reading, window: Encoding) -> list[str]:
    """The tokens of a window as they stand in the text; special ones by their names."""
    return [
        task.tokenizer.decode([token], skip_special=False).strip() if span is None else reading.text[slice(*span)]
        for token, span in zip(window.ids, reading.spans(window), strict=True)
    ]


def _with_labels(
    task: TextClassifier, reading: Reading, explanation: Explanation, count: int, name: str
) -> Explanation:
    """The explanation with what speaks for each of the most probable labels, and for those that it is about."""
    rows = reading.rows(None, None)
    logits = hidden_logits(task, rows, [()] * len(rows)).mean(axis=0)
    best = np.argsort(-logits, kind="stable").tolist()[:count]
    asked = [task.labels.index(label) for label in (explanation.label, explanation.against) if label is not None]
    found = []
    for number in dict.fromkeys([*best, *asked]):
        (own,) = _explain(task, [reading], number, None, name)
        words = tuple(word.score for word in own.words)
        special = sum(own.scores) - sum(words)
        found.append(LabelScores(own.label, own.probability, own.logit, own.bias or 0.0, words, special))
    return replace(explanation, labels=tuple(sorted(found, key=lambda label: -label.probability)))


def _verified(task: TextClassifier, reading: Reading, explanation: Explanation) -> Explanation:
    """The explanation with what becomes of the probability when words are hidden: the most important, or any."""
    label = task.labels.index(explanation.label)
    order = sorted(range(len(explanation.words)), key=lambda word: -explanation.words[word].score)
    generator = np.random.default_rng(0)
    sizes = [k for k in REMOVALS if k <= len(order)]
    draws = max(DRAWS // len(reading.windows), FEWEST_DRAWS)
    choices = [order[:k] for k in sizes]
    choices += [generator.permutation(len(order))[:k].tolist() for k in sizes for _ in range(draws)]
    probabilities = without_words(task, reading, choices)[:, label]
    random = probabilities[len(sizes) :].reshape(len(sizes), draws).mean(axis=1)
    removals = [
        Removal(k, tuple(explanation.words[word].text for word in order[:k]), float(own), float(other))
        for k, own, other in zip(sizes, probabilities, random, strict=False)
    ]
    return replace(explanation, verify=tuple(removals))


def without_words(task: TextClassifier, reading: Reading, choices: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Probabilities (N, C) of a text, in each of N ways without some of its words."""
    rows = reading.rows(None, None)
    groups = [reading.groups(window) for window in reading.windows]
    asked = [
        (window, tuple(sorted(place for word in chosen for place in own.get(word, ()))))
        for chosen in choices
        for window, own in enumerate(groups)
    ]
    # Most windows of a long text hold none of a few words, and are the same for many choices.
    different = {one: number for number, one in enumerate(dict.fromkeys(asked))}
    found = hidden_logits(task, [rows[window] for window, _ in different], [places for _, places in different])
    logits = found[[different[one] for one in asked]]
    return probabilities_of(logits.reshape(len(choices), len(rows), -1).mean(axis=1), task.card)
