"""ROUGE as rouge-score computes it (Lin 2004)."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import numpy as np

from heedful.metrics.metric import Floats, Metric
from heedful.metrics.text import Script, TextStatistics, choose, require_pairs
from heedful.scripts import UNSPACED

ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")
"""In the order of the columns of the tally."""
ROUGE_TOKENIZERS = ("english", "unicode")
NOT_ENGLISH = 0.005
"""Share of letters beyond a to z from which texts are not taken for English: rouge-score's own tokenizer drops them."""


@dataclass(frozen=True, slots=True)
class SummarizationTally:
    """Sums over R weighted copies of N summaries: their F1 by each of ``ROUGE``, (R, 4)."""

    num_examples: int
    f1: Floats


class SummarizationStatistics(TextStatistics[SummarizationTally]):
    """What each summary adds to a :class:`SummarizationTally`."""

    def arrange(self, sums: Floats) -> SummarizationTally:
        return SummarizationTally(self.num_examples, sums)


def summarization_statistics(
    predictions: Sequence[str], references: Sequence[str], *, tokenizer: str | None = None
) -> SummarizationStatistics:
    """Compare summaries with what they should be.

    Args:
        predictions: N summaries. Lines count as sentences, for ROUGE-Lsum.
        references: what each should be.
        tokenizer: ``english``, rouge-score's own: words of the letters a to z and digits, cut to their stems by
            Porter's algorithm; or ``unicode``: words of any letters as they stand, and each character alone in
            scripts that put no spaces between words, Chinese for one. If not given, ``unicode`` where the references
            hold more than a few letters beyond a to z.

    Raises:
        DataError: no prediction, or not one reference each.
        RequestError: there is no such tokenizer.
    """
    from rouge_score.rouge_scorer import RougeScorer  # noqa: PLC0415 - imports nltk, which takes long

    require_pairs(predictions, references)
    chosen = choose(tokenizer, ROUGE_TOKENIZERS) if tokenizer else _tokenizer_of(references)
    scorer = RougeScorer(ROUGE, use_stemmer=True, tokenizer=_UnicodeTokenizer() if chosen == "unicode" else None)
    scores = [scorer.score(reference, text) for text, reference in zip(predictions, references, strict=True)]
    f1 = np.array([[score[name].fmeasure for name in ROUGE] for score in scores])
    stemmer = "porter" if chosen == "english" else "no"
    signature = f"nrefs:1|case:lc|tok:{chosen}|stemmer:{stemmer}|version:rouge-score-{version('rouge-score')}"
    sentences = {"rougeLsum": "|sentences:lines"}
    return SummarizationStatistics(f1, {name: signature + sentences.get(name, "") for name in ROUGE})


def _tokenizer_of(references: Sequence[str]) -> str:
    return "english" if Script.of(references).foreign < NOT_ENGLISH else "unicode"


class _UnicodeTokenizer:
    """Words in lower case, of the letters, marks and digits of any script."""

    def tokenize(self, text: str) -> list[str]:
        return unicodedata.normalize("NFKC", text).lower().translate(_SPACES).split()


class _Spaces(dict[int, str]):
    """A table for ``str.translate`` that puts spaces between words; it fills itself."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if UNSPACED.match(character):
            replacement = f" {character} "
        else:
            replacement = character if unicodedata.category(character)[0] in "LMN" else " "
        self[code] = replacement
        return replacement


_SPACES = _Spaces()


def _mean(tally: SummarizationTally, column: int) -> Floats:
    return 100 * tally.f1[:, column] / tally.num_examples


SUMMARIZATION_METRICS: tuple[Metric[SummarizationTally], ...] = tuple(
    Metric(name, "higher", "points", partial(_mean, column=column)) for column, name in enumerate(ROUGE)
)
"""Means over summaries of the F1, 0 to 100, of words, pairs of words, the longest common subsequence of the texts, and
that of their sentences (Lin 2004, sections 2, 3.1 and 3.2)."""
