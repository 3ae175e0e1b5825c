"""What happens without a part of the text: the ground truth, at one pass a part. W groups of tokens, C labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from heedful.explanation.passes import quiet
from heedful.explanation.rows import Row, RowScores, batches, covering, plain, stacked
from heedful.tasks import TextClassifier


def leave_one_out(task: TextClassifier, rows: Sequence[Row]) -> list[RowScores]:
    """How much a claim falls when the tokens of a group are hidden, one group at a time.

    They are hidden behind the mask token, so that nothing else moves (Zeiler and Fergus 2014, section 4.2; Li et al.
    2016). Works for any module.
    """
    variants = [(row, places) for row in rows for places in [(), *row.groups]]
    logits = hidden_logits(task, [row for row, _ in variants], [places for _, places in variants])
    found, start = [], 0
    for row in rows:
        own = logits[start : start + 1 + len(row.groups)]
        start += len(own)
        states = torch.from_numpy(own)
        claims = row.decided(states[0]).claim(states).numpy()
        found.append(RowScores(own[0], claims[0] - claims[1:], None))
    return found


def hidden_logits(task: TextClassifier, rows: Sequence[Row], hidden: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Logits (R, C) of rows, in each of which the tokens at some places are hidden.

    Ids are hidden as they are: nothing is tokenized anew, and special tokens stay.
    """
    cover = covering(task)
    logits = np.zeros((len(rows), len(task.labels)))
    with quiet(task.network):
        for numbers in batches(rows):
            batch = [_covered(rows[number], hidden[number], cover) for number in numbers]
            logits[numbers] = plain(task.network(*stacked(task, batch)))
    return logits


def _covered(row: Row, places: Sequence[int], cover: int) -> Row:
    ids = list(row.encoding.ids)
    for place in places:
        ids[place] = cover
    return replace(row, encoding=replace(row.encoding, ids=ids))
