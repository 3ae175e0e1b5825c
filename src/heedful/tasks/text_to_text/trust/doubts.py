"""What should make a reader look twice."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from heedful.tasks.text_to_text.trust.case import Case
from heedful.tasks.text_to_text.trust.signals import Signals, Usual, attention_of_words
from heedful.tasks.text_to_text.trust.words import word_spans

MAX_DEVIATION = 4.0
"""Standard deviations that a length may be off: one in 16,000 answers, were lengths normal."""
LOOP = 3
"""A phrase that stands so often in a row, and oftener than any in the source, is a loop."""
LONGEST_PHRASE = 50
"""Words of a phrase that is looked for."""
HARDLY = 0.1
"""Attention in all below which a word was hardly looked at."""
SPELT_OUT = 12
"""Numbers up to this one are often written in letters."""
SHOWN = 5
"""Words or numbers that are named."""
_STUTTER = re.compile(r"([^\W\d_]{1,8}?)\1{5,}")
_NUMBER = re.compile(r"(?<!\d)\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?!\d)|\d+(?:[.,'’٫٬]\d+)*")


def warnings_of(
    case: Case, weights: NDArray[np.float32], signals: Signals, usual: Usual | None, *, keeps_numbers: bool
) -> tuple[str, ...]:
    """What should make a reader look twice.

    Args:
        weights: (T, R), how much each token looked at each that was read.
        usual: what answers are compared with; without it, only what can be seen in the texts is told.
        keeps_numbers: whether an answer has all numbers of its source, as a translation has.
    """
    found = [repetition(case.source, case.answer), differing_numbers(case.source, case.answer, all_kept=keeps_numbers)]
    if usual is not None:
        found += [_neglect(case, weights, signals, usual), _disproportion(signals)]
    return tuple(warning for warning in found if warning)


def repetition(source: str, answer: str) -> str | None:
    """A phrase, or letters within a word, that stand several times in a row, unless the source has the like."""
    times, phrase = _loop(answer)
    if times >= LOOP and times > _loop(source)[0]:
        return f"a phrase stands {times} times in a row: {phrase!r:.60}"
    stutter = _STUTTER.search(answer)
    if stutter and not _STUTTER.search(source):
        return f"letters stand {len(stutter[0]) // len(stutter[1])} times in a row: {stutter[1]!r}"
    return None


def differing_numbers(source: str, answer: str, *, all_kept: bool) -> str | None:
    """Numbers that only one of two texts has.

    Signs between digits do not count, as 1,000.5 is 1.000,5 elsewhere. Small numbers may be written in letters: that
    just one of the texts has them in digits is no difference.

    Args:
        all_kept: whether numbers of the source may not be missing either.
    """
    wanted, written = _numbers(source), _numbers(answer)
    missing, added = wanted - written, written - wanted
    if not (missing and added):
        missing, added = (
            Counter(n for n in side.elements() if len(n) > len(str(SPELT_OUT)) or int(n) > SPELT_OUT)
            for side in (missing, added)
        )
    told = [f"only in the source: {_listed(missing)}"] * bool(missing and all_kept)
    told += [f"only in the answer: {_listed(added)}"] * bool(added)
    return f"numbers differ, {'; '.join(told)}" if told else None


def _neglect(case: Case, weights: NDArray[np.float32], signals: Signals, usual: Usual) -> str | None:
    if signals.looked_at < usual.lowest_looked_at:
        return f"the source was hardly looked at: its words got {signals.looked_at:.0%} of the attention"
    if signals.coverage >= usual.lowest_coverage:
        return None
    spans = word_spans(case.source)
    neglected = [word for word, attention in attention_of_words(case, weights).items() if attention < HARDLY]
    names = [case.source[slice(*spans[word])] for word in sorted(neglected)]
    named = f": {_listed(names)}" if names else ""
    return f"parts of the source were hardly looked at{named}"


def _disproportion(signals: Signals) -> str | None:
    if abs(signals.length) <= MAX_DEVIATION:
        return None
    return f"much {'longer' if signals.length > 0 else 'shorter'} than is usual for such a source"


def _loop(text: str) -> tuple[int, str]:
    """How often the phrase that is repeated most stands in a row, and the phrase."""
    spans = word_spans(text)
    words = [text[start:end].casefold() for start, end in spans]
    best = (0, "")
    for period in range(1, min(LONGEST_PHRASE, len(words) // 2) + 1):
        run = 0
        for place in range(period, len(words)):
            run = run + 1 if words[place] == words[place - period] else 0
            times = run // period + 1
            if times > max(best[0], 1):
                best = times, text[spans[place - period + 1][0] : spans[place][1]]
    return best


def _numbers(text: str) -> Counter[str]:
    """Numbers by their digits in our script."""
    found = (_digits(match.group()) for match in _NUMBER.finditer(text))
    return Counter(number.lstrip("0") or "0" for number in found)


def _digits(number: str) -> str:
    return "".join(str(unicodedata.digit(character)) for character in number if character.isdecimal())


def _listed(things: Counter[str] | Sequence[str]) -> str:
    names = list(things.elements()) if isinstance(things, Counter) else list(things)
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
