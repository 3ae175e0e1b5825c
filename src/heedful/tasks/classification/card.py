"""The model card of a classifier."""

from __future__ import annotations

from torch import nn

from heedful.tasks.classification.settings import ClassifierCard
from heedful.tasks.model_card import kind_and_size, write_card

LABELS_SHOWN = 20


def model_card(card: ClassifierCard, model: nn.Module, name: str) -> str:
    """What the model is, what it reached and how it is used, as Markdown."""
    shown = ", ".join(f"`{label}`" for label in card.labels[:LABELS_SHOWN])
    more = f" and {len(card.labels) - LABELS_SHOWN} more" if len(card.labels) > LABELS_SHOWN else ""
    long_input = {
        "error": "are refused",
        "truncate": "are cut at the end, and the answer says so",
        "truncate_middle": "are cut in the middle, and the answer says so",
        "window": "are read in windows whose logits are averaged",
    }[card.long_input.value]
    return write_card(
        name,
        pipeline_tag="text-classification",
        paragraphs=(
            f"A text classifier trained with heedful: {len(card.labels)} labels, "
            f"{kind_and_size(model)}. Texts longer than {card.max_length} tokens {long_input}. "
            f"Probabilities are calibrated with temperature {card.temperature:.3f}.",
            f"Labels: {shown}{more}.",
        ),
        results=card.results,
        variable="classifier",
    )
