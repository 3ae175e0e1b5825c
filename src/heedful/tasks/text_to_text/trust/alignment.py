"""Word alignments from attention weights, and the choice of the weights that are worth it.

T tokens of an answer, R of what was read, H heads, L layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from heedful.model import Transformer
from heedful.settings import Settings
from heedful.tasks.text_to_text.answer import Alignment
from heedful.tasks.text_to_text.trust.attention import Reading, num_heads, read_answers
from heedful.tasks.text_to_text.trust.case import Case, speaking
from heedful.tasks.text_to_text.trust.lexicon import Links, sure_links
from heedful.tasks.text_to_text.trust.words import TokenWords

MIN_LINKS = 50
"""With fewer links to agree with, nothing is chosen."""


class AlignmentSettings(Settings):
    """Which attention weights say what a token stands for: the mean of some heads of a layer."""

    layer: int = Field(ge=0, description="counted from 0 in the order the decoder's layers are run")
    heads: tuple[int, ...] = Field(description="heads of the layer, counted from 0")
    shift: bool = Field(
        False,
        description="a token stands for what is looked at when it is read, one step after it was written "
        "(Chen et al. 2020)",
    )
    agreement: float | None = Field(
        None, ge=0, le=1, description="share of the sure links of an IBM model 1 that they agree with, if chosen by it"
    )

    def weights(self, reading: Reading) -> NDArray[np.float32]:
        """(T, R) of a reading in which this layer alone was watched."""
        (layer,) = reading.attention
        return _shifted(layer[list(self.heads)].mean(axis=0)) if self.shift else layer[list(self.heads)].mean(axis=0)


def usual_alignment(model: Transformer) -> AlignmentSettings:
    """All heads of the last layer but one, the best where nothing is known (Garg et al. 2019, section 3.1)."""
    heads = num_heads(model)
    layer = max(len(heads) - 2, 0)
    return AlignmentSettings(layer=layer, heads=tuple(range(heads[layer])))


def align(weights: NDArray[np.float32], source: TokenWords, answer: TokenWords) -> Alignment:
    """Link the words of each answer's token with those of the source's token that it looked at most.

    Args:
        weights: (T, R).
        source: (R,), the words that each token speaks for; tokens that speak for none are passed over.
        answer: (T,).

    Returns:
        (word of the source, word of the answer), in order.
    """
    columns = speaking(source)
    if not columns:
        return ()
    looked_at = np.array(columns)[weights[:, columns].argmax(axis=1)]
    links = {link for place, words in enumerate(answer) for link in product(source[looked_at[place]], words)}
    return tuple(sorted(links))


def choose_alignment(model: Transformer, cases: Sequence[Case]) -> AlignmentSettings:
    """The layer, heads and shift that agree best with an IBM model 1 of the same texts.

    Each head is judged alone, then, layer by layer, the mean of its best two, three, … heads.

    Args:
        cases: sources with translations that are right.
    """
    pairs = []
    for case in cases:
        read, written = speaking(case.source_words), speaking(case.answer_words)
        pairs.append(([case.finished.read[p] for p in read], [case.finished.tokens[p] for p in written]))
    links = sure_links(pairs)
    total = sum(map(len, links))
    if total < MIN_LINKS:
        return usual_alignment(model)
    judged = cases[: len(links)]
    alone = _hits(model, judged, links, None)
    orders = [np.argsort(-hits, axis=1, kind="stable") for hits in alone]
    together = _hits(model, judged, links, orders)
    best = max(
        ((layer, shift, count) for layer, hits in enumerate(together) for shift, count in np.ndindex(hits.shape)),
        key=lambda place: together[place[0]][place[1], place[2]],
    )
    layer, shift, count = best
    return AlignmentSettings(
        layer=layer,
        heads=tuple(sorted(orders[layer][shift, : count + 1].tolist())),
        shift=bool(shift),
        agreement=float(together[layer][shift, count]) / total,
    )


def _hits(
    model: Transformer, cases: Sequence[Case], links: Sequence[Links], orders: Sequence[NDArray[np.int64]] | None
) -> list[NDArray[np.int64]]:
    """How many links are where the most weight is, for each layer, without and with shift: L times (2, H).

    Args:
        orders: heads in order, L times (2, H): the mean of the first, of the first two, … is judged. Each alone
            without.
    """
    hits = [np.zeros((2, heads), dtype=np.int64) for heads in num_heads(model)]
    for number, reading in read_answers(model, [case.finished for case in cases]):
        if not links[number]:
            continue
        read, written = speaking(cases[number].source_words), speaking(cases[number].answer_words)
        wanted, places = (np.array(side) for side in zip(*links[number], strict=True))
        for layer, weights in enumerate(reading.attention):
            for shift, each in enumerate((weights, _shifted(weights))):
                judged = each if orders is None else each[orders[layer][shift]].cumsum(axis=0)
                rows = judged[:, np.array(written)[places]][:, :, read]
                hits[layer][shift] += (rows.argmax(axis=-1) == wanted).sum(axis=-1)
    return hits


def _shifted(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights (..., T, R) of each token when it is read: those with which the next one is written."""
    return np.concatenate([weights[..., 1:, :], weights[..., -1:, :]], axis=-2)
