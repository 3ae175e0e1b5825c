"""BLEU, chrF and chrF++ as sacreBLEU computes them (Papineni et al. 2002; Popović 2015, 2017; Post 2018).

sacreBLEU counts the n-grams of each text once; scores of weighted copies of the data set, which bootstrap resamples
are, follow from weighted sums of these counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heedful.metrics.metric import Floats, Metric
from heedful.metrics.tables import ratio
from heedful.metrics.text import Script, TextStatistics, choose, require_pairs

BLEU_TOKENIZERS = ("13a", "intl", "zh", "char", "none")
"""By sacreBLEU's names; those of its others that fetch models are left out."""
BLEU_ORDER = 4
"""The longest n-grams of BLEU, in tokens."""
CHARACTER_ORDER, WORD_ORDER = 6, 2
"""The longest n-grams of chrF, in characters, and those that chrF++ adds, in words."""
RECALL_WEIGHT = 2
"""The β of chrF: recall counts for that many times as much as precision."""


@dataclass(frozen=True, slots=True)
class TranslationTally:
    """Sums over R weighted copies of N translations.

    ``lengths`` (R, 2) counts the tokens of translations and references, ``matches`` and ``ngrams`` (R, 4) the n-grams
    of the translations that are in their reference, and all of them. ``chrf`` (R, 8, 3) counts the n-grams of six
    lengths in characters, then of two in words: of the translations, of the references, of both.
    """

    lengths: Floats
    matches: Floats
    ngrams: Floats
    chrf: Floats


class TranslationStatistics(TextStatistics[TranslationTally]):
    """What each translation adds to a :class:`TranslationTally`."""

    def arrange(self, sums: Floats) -> TranslationTally:
        lengths, matches, ngrams, chrf = np.split(sums, [2, 2 + BLEU_ORDER, 2 + 2 * BLEU_ORDER], axis=1)
        return TranslationTally(lengths, matches, ngrams, chrf.reshape(len(sums), -1, 3))


def translation_statistics(
    predictions: Sequence[str], references: Sequence[str], *, tokenizer: str | None = None
) -> TranslationStatistics:
    """Count what the metrics of translation need.

    Args:
        predictions: N translations, detokenised.
        references: what each should be.
        tokenizer: one of ``BLEU_TOKENIZERS``, which cuts words for BLEU. If not given, the script of the references
            decides: ``zh`` for Chinese, ``char`` for Japanese, Thai, Lao, Burmese and Khmer, else ``13a``.

    Raises:
        DataError: no prediction, or not one reference each.
        RequestError: there is no such tokenizer.
    """
    from sacrebleu.metrics.bleu import BLEU  # noqa: PLC0415 - not needed by whoever classifies
    from sacrebleu.metrics.chrf import CHRF  # noqa: PLC0415

    require_pairs(predictions, references)
    chosen = choose(tokenizer, BLEU_TOKENIZERS) if tokenizer else _tokenizer_of(references)
    bleu = BLEU(tokenize=chosen, force=True, max_ngram_order=BLEU_ORDER)
    chrf, chrfpp = (CHRF(CHARACTER_ORDER, words, RECALL_WEIGHT) for words in (0, WORD_ORDER))
    # The counts of each text are what corpus_score and sacreBLEU's own significance tests begin with; no public
    # function gives them. Tests hold the scores to those of corpus_score.
    counts = [metric._extract_corpus_statistics(predictions, [references]) for metric in (bleu, chrfpp)]
    chrf.corpus_score(predictions[:1], [references[:1]])  # a metric that has scored nothing has no signature
    signatures = {
        name: str(metric.get_signature()) for name, metric in (("bleu", bleu), ("chrf", chrf), ("chrfpp", chrfpp))
    }
    return TranslationStatistics(np.hstack([np.array(part, dtype=np.float64) for part in counts]), signatures)


def _tokenizer_of(references: Sequence[str]) -> str:
    script = Script.of(references)
    if script.chinese + script.other_unspaced < 0.5:
        return "13a"
    return "zh" if script.other_unspaced < 0.05 else "char"


def bleu_score(tally: TranslationTally) -> Floats:
    """BLEU, 0 to 100 (Papineni et al. 2002, section 2.3), with the smoothing of NIST's mteval-v13a.

    Orders without a match count as 1/2, 1/4, ... of one; a corpus without any match, or too short for an n-gram of
    some order, has 0.
    """
    unmatched = tally.matches == 0
    smoothed = np.where(unmatched, 0.5 ** np.cumsum(unmatched, axis=1), tally.matches)
    precisions = ratio(smoothed, tally.ngrams)
    possible = (precisions > 0).all(axis=1) & ~unmatched.all(axis=1)
    geometric_mean = np.exp(np.log(np.where(possible[:, None], precisions, 1)).mean(axis=1))
    ours, theirs = tally.lengths.T
    brevity = np.exp(np.minimum(1 - ratio(theirs, ours), 0))
    return np.where(possible, 100 * brevity * geometric_mean, 0.0)


def chrf_score(tally: TranslationTally) -> Floats:
    """chrF, 0 to 100: F2 of the mean precision and recall of n-grams of 1 to 6 characters (Popović 2015)."""
    return _chrf(tally.chrf[:, :CHARACTER_ORDER])


def chrfpp_score(tally: TranslationTally) -> Floats:
    """chrF++, 0 to 100: chrF with words and pairs of words beside characters (Popović 2017)."""
    return _chrf(tally.chrf)


def _chrf(counts: Floats) -> Floats:
    """From counts (R, orders, 3); orders that do not occur on both sides are left out of the means."""
    ours, theirs, both = np.moveaxis(counts, -1, 0)
    occurring = (ours > 0) & (theirs > 0)
    orders = occurring.sum(axis=1)
    precision, recall = (ratio((occurring * ratio(both, side)).sum(axis=1), orders) for side in (ours, theirs))
    weight = RECALL_WEIGHT**2
    return 100 * ratio((1 + weight) * precision * recall, weight * precision + recall)


TRANSLATION_METRICS: tuple[Metric[TranslationTally], ...] = (
    Metric("bleu", "higher", "points", bleu_score),
    Metric("chrf", "higher", "points", chrf_score),
    Metric("chrfpp", "higher", "points", chrfpp_score),
)
