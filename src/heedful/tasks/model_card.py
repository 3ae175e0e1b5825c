"""Model cards: README.md with metadata that hubs read, as every task writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml
from torch import nn

from heedful.model import Transformer


def write_card(
    name: str, *, pipeline_tag: str, paragraphs: Sequence[str], results: Mapping[str, Mapping[str, str]], variable: str
) -> str:
    """What a model is, what it reached and how it is used, as Markdown.

    Args:
        pipeline_tag: what hubs call the job.
        results: data set -> metric -> value with interval.
        variable: what a user might call the model.
    """
    metadata = {"library_name": "heedful", "pipeline_tag": pipeline_tag, "tags": ["heedful"]}
    sections = [
        f"---\n{yaml.safe_dump(metadata, sort_keys=False)}---",
        f"# {name}",
        *paragraphs,
        *(_results(data, figures) for data, figures in results.items()),
        f'## Use\n\n```python\nimport heedful\n\n{variable} = heedful.load("{name}")\n{variable}.predict(["..."])\n```',
    ]
    return "\n\n".join(sections) + "\n"


def kind_and_size(model: nn.Module) -> str:
    """A model that has a ``d_model``, in a few words."""
    count = sum(parameter.numel() for parameter in model.parameters())
    kind = "Transformer" if isinstance(model, Transformer) else type(model).__name__
    return f"a {kind} of {count:,} parameters (width {model.d_model})"


def _results(data: str, figures: Mapping[str, str]) -> str:
    rows = "\n".join(f"| {name} | {value} |" for name, value in figures.items())
    return f"## Results on the {data} data\n\n| metric | value (95 % interval) |\n|---|---|\n{rows}"
