"""What every family is held to, against a tiny random reference in float64."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from tests.parity.families.reference import make, run, save
from torch import Tensor, nn

from heedful.families import ConfigReader, Family, Pretrained, find_family, read_pretrained, to_upstream
from heedful.model import Transformer

TOLERANCE = 1e-9
LENGTHS = (5, 9, 2)
"""Of the texts of a batch, so that two of them are padded."""


@dataclass(frozen=True)
class Case:
    """One shape of one family; ``options`` are keys of upstream's config."""

    model_type: str
    options: Mapping[str, Any]
    name: str = "plain"
    architectures: tuple[str, ...] | None = None
    """Of upstream's classes; all that the family has unless given."""
    reserved: int = 8
    """Ids below are not given to the models: padding and the like, to which upstream gives a meaning."""
    classifier_options: Mapping[str, Any] = field(default_factory=dict)
    """More options that the classifier needs, such as the id of the padding."""

    def __str__(self) -> str:
        return f"{self.model_type}-{self.name}"

    @cached_property
    def family(self) -> Family:
        return find_family({"model_type": self.model_type}, name=str(self))

    @property
    def language_model(self) -> str | None:
        """Upstream's class with a language-model head, where the case has one."""
        head = self.family.language_model
        return None if head is None else self._chosen(head.architecture)

    @property
    def classifier(self) -> str | None:
        """Upstream's classifier, where the case has one."""
        head = self.family.classifier
        return None if head is None else self._chosen(head.architecture)

    @property
    def decodes(self) -> bool:
        """Whether the model has a decoder."""
        return self.family.spec(ConfigReader(dict(self.options))).decoder is not None

    def _chosen(self, architecture: str) -> str | None:
        return architecture if self.architectures is None or architecture in self.architectures else None

    def reference(self, architecture: str) -> nn.Module:
        options = dict(self.options)
        if architecture == self.classifier:
            options |= {"num_labels": 5, **self.classifier_options}
        return make(architecture, transformers.AutoConfig.for_model(self.model_type, **options))


@dataclass(frozen=True)
class Loaded:
    """A reference, the folder it was saved to, and ours."""

    reference: Any
    folder: Path
    pretrained: Pretrained
    model: Transformer


def load(case: Case, architecture: str, folder: Path) -> Loaded:
    reference = case.reference(architecture)
    save(reference, folder)
    pretrained = read_pretrained(folder)
    return Loaded(reference, folder, pretrained, pretrained.load_model())


def texts(case: Case, vocabulary_size: int, lengths: tuple[int, ...] = LENGTHS, *, seed: int = 1) -> list[Tensor]:
    """Random ids, one tensor (1, length) a text."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(case.reserved, vocabulary_size, (1, length), generator=generator) for length in lengths]


def pad(rows: list[Tensor], *, left: bool = False, value: int = 1) -> tuple[Tensor, Tensor]:
    """A batch of texts and its mask."""
    width = max(row.shape[1] for row in rows)
    ids = torch.full((len(rows), width), value)
    mask = torch.zeros(len(rows), width, dtype=torch.bool)
    for number, row in enumerate(rows):
        place = slice(width - row.shape[1], None) if left else slice(0, row.shape[1])
        ids[number, place], mask[number, place] = row[0], True
    return ids, mask


@torch.no_grad()
def hidden_states(model: Transformer, rows: list[Tensor], targets: list[Tensor], *, left: bool) -> list[Tensor]:
    """Last hidden states of each text, computed in one padded batch: of targets where the model has both stacks."""
    ids, mask = pad(rows, left=left)
    if model.decoder is None:
        states, kept = model.encode(ids, mask), mask
    elif model.encoder is None:
        states, kept = model.decode(ids, mask=mask), mask
    else:
        target_ids, kept = pad(targets, left=left)
        states = model.decode(target_ids, model.encode(ids, mask), mask, mask=kept)
    return [row[real] for row, real in zip(states, kept, strict=True)]


def reference_outputs(reference: Any, rows: list[Tensor], targets: list[Tensor], key: str) -> list[Tensor]:
    """The same from upstream, one text at a time without any padding."""
    both = reference.config.is_encoder_decoder
    extra = ({"decoder_input_ids": target} for target in targets) if both else ({} for _ in rows)
    return [run(reference, input_ids=row, **more)[key][0] for row, more in zip(rows, extra, strict=True)]


def largest_error(actual: list[Tensor], expected: list[Tensor]) -> float:
    """The largest difference, relative to the largest expected value where that is above 1."""
    scale = max(1.0, *(float(tensor.abs().max()) for tensor in expected))
    assert [tensor.shape for tensor in actual] == [tensor.shape for tensor in expected]
    return max(float((a - e).abs().max()) for a, e in zip(actual, expected, strict=True)) / scale


def stored(folder: Path) -> dict[str, Tensor]:
    """The tensors of a saved reference."""
    return load_file(folder / "model.safetensors")


def export(loaded: Loaded, folder: Path) -> tuple[str, dict[str, Tensor]]:
    """What we would write of a loaded checkpoint, written."""
    pretrained = loaded.pretrained
    architecture, named = to_upstream(pretrained.family, pretrained.spec, pretrained.tensors())
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(dict(pretrained.config)), encoding="utf-8")
    save_file(
        {name: tensor.contiguous() for name, tensor in named.items()}, folder / "model.safetensors", {"format": "pt"}
    )
    return architecture, named
