"""The model card of a classifier: README.md with metadata that hubs read."""

from __future__ import annotations

import yaml
from torch import nn

from heedful.model import Transformer
from heedful.tasks.classification.settings import ClassifierCard

LABELS_SHOWN = 20


def model_card(card: ClassifierCard, model: nn.Module, name: str) -> str:
    """What the model is, what it reached and how it is used, as Markdown."""
    metadata = {"library_name": "heedful", "pipeline_tag": "text-classification", "tags": ["heedful"]}
    count = sum(parameter.numel() for parameter in model.parameters())
    kind = "Transformer" if isinstance(model, Transformer) else type(model).__name__
    shown = ", ".join(f"`{label}`" for label in card.labels[:LABELS_SHOWN])
    more = f" and {len(card.labels) - LABELS_SHOWN} more" if len(card.labels) > LABELS_SHOWN else ""
    long_input = {
        "error": "are refused",
        "truncate": "are cut at the end, and the answer says so",
        "truncate_middle": "are cut in the middle, and the answer says so",
        "window": "are read in windows whose logits are averaged",
    }[card.long_input.value]
    sections = [
        f"---\n{yaml.safe_dump(metadata, sort_keys=False)}---",
        f"# {name}",
        f"A text classifier trained with heedful: {len(card.labels)} labels, a {kind} of {count:,} parameters "
        f"(width {model.d_model}). Texts longer than {card.max_length} tokens {long_input}. "
        f"Probabilities are calibrated with temperature {card.temperature:.3f}.",
        f"Labels: {shown}{more}.",
        *(_results(name, figures) for name, figures in card.results.items()),
        f'## Use\n\n```python\nimport heedful\n\nclassifier = heedful.load("{name}")\nclassifier.predict(["..."])\n```',
    ]
    return "\n\n".join(sections) + "\n"


def _results(data: str, figures: dict[str, str]) -> str:
    rows = "\n".join(f"| {name} | {value} |" for name, value in figures.items())
    return f"## Results on the {data} data\n\n| metric | value (95 % interval) |\n|---|---|\n{rows}"
