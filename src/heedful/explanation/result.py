"""What an explanation says."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Explanation:
    """How much each word of a text speaks for a label. W words."""

    text: str
    label: str
    """The label that the scores speak for."""
    logit: float
    """Of that label, for the whole text."""
    words: tuple[str, ...]
    """(W,), as they stand in the text."""
    offsets: tuple[tuple[int, int], ...]
    """(W,), [start, end) of each word in characters of the text."""
    scores: tuple[float, ...]
    """(W,): above 0 where a word speaks for the label, below where it speaks against it; in logits."""
    method: str

    def to_json(self) -> str:
        """As a JSON document."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"
