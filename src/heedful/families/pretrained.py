"""A foreign checkpoint, understood before any of its values is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from heedful.checkpoint import (
    CONFIG_FILE,
    Located,
    StoredWeights,
    locate,
    merge_adapter,
    open_weights,
    read_json,
    read_model,
)
from heedful.checkpoint.rules import Rules, Step, plan, their_names
from heedful.data import LabelKind
from heedful.errors import CheckpointError, UnsupportedError
from heedful.families.config import ConfigReader
from heedful.families.family import Family
from heedful.families.faults import Fault, FaultKind, UnfitError, config_faults
from heedful.families.registry import FAMILIES
from heedful.model import (
    ClassificationHead,
    ClassificationHeadSpec,
    OutputSpec,
    Transformer,
    TransformerSpec,
    build,
    build_head,
)
from heedful.model.skeleton import skeleton
from heedful.settings import nearest

TOKEN_TABLE = "token_embedding.weight"  # noqa: S105 - a name of ours
TARGET_TABLE = "target_embedding.weight"
OUTPUT_WEIGHT = "output.weight"
OUTPUT_BIAS = "output.bias"
HEAD_PREFIX = "head."
OUTPUT_PREFIX = "output."
HEAD_OUTPUT = "head.output.weight"


@dataclass(frozen=True)
class Pretrained:
    """A checkpoint of a known family: its config and the names and shapes of its weights fit together."""

    located: Located
    family: Family
    config: Mapping[str, Any]
    """``config.json`` as it stands."""
    spec: TransformerSpec
    """With an output where the checkpoint holds a language-model head."""
    head: ClassificationHeadSpec | None
    """The head that classifiers of this family have; None where it has none."""
    has_head: bool
    """Whether the checkpoint holds a trained one."""
    labels: tuple[str, ...]
    """Of the trained head; empty where there is none."""
    label_kind: LabelKind
    notes: tuple[str, ...]
    """What was left aside, and why."""
    weights: StoredWeights
    steps: Mapping[str, Step]
    """How each of our tensors comes about, by its name."""

    @property
    def origin(self) -> dict[str, Any]:
        """What a model that begins here keeps, to go out in the form that it came in."""
        return {"family": self.family.model_type, "config": dict(self.config)}

    def load_model(self, *, dtype: torch.dtype | None = None) -> Transformer:
        """The Transformer with its weights, in evaluation mode.

        Args:
            dtype: of the weights; as stored unless given.

        Raises:
            CheckpointError: a file is damaged, or tensors that must be equal are not.
        """
        with skeleton():
            model = build(self.spec)
        self._load(model, dtype, prefix="")
        return model.eval()

    def load_head(self, *, dtype: torch.dtype | None = None) -> ClassificationHead:
        """The trained classification head.

        Raises:
            CheckpointError: the checkpoint holds none.
        """
        if self.head is None or not self.has_head:
            raise CheckpointError(
                f"{self.located.folder} holds no trained classification head",
                remedy="Train one: give it as model.checkpoint in a recipe of heedful train.",
            )
        with skeleton():
            head = build_head(self.head, self.spec.d_model)
        self._load(head, dtype, prefix=HEAD_PREFIX)
        return head.eval()

    def fresh_head(self, num_labels: int, *, seed: int | None = None) -> tuple[ClassificationHead, tuple[str, ...]]:
        """A head of this family for other labels: the last layer is random, what is before it is taken over.

        Returns:
            The head, and the names of its tensors that the checkpoint holds.

        Raises:
            CheckpointError: the family has no classifiers.
        """
        if self.head is None:
            raise CheckpointError(f"{self.family.model_type} checkpoints have no classification head")
        head = build_head(self.head.model_copy(update={"num_labels": num_labels}), self.spec.d_model, seed=seed)
        kept = [
            name for name in head.state_dict() if not name.startswith("output.") and HEAD_PREFIX + name in self.steps
        ]
        state = self._gather(HEAD_PREFIX + name for name in kept)
        head.load_state_dict({name.removeprefix(HEAD_PREFIX): tensor for name, tensor in state.items()}, strict=False)
        return head, tuple(kept)

    def tensors(self) -> dict[str, Tensor]:
        """All tensors of ours that the checkpoint holds, those of the head with ``head.`` before their names."""
        return self._gather(self.steps)

    def _load(self, module: nn.Module, dtype: torch.dtype | None, *, prefix: str) -> None:
        state = self._gather(prefix + name for name in module.state_dict())
        kinds = {tensor.dtype for tensor in state.values()}
        wanted = dtype or (kinds.pop() if len(kinds) == 1 else torch.float32)
        ready = {name.removeprefix(prefix): tensor.to(wanted, copy=True) for name, tensor in state.items()}
        module.load_state_dict(ready, assign=True)

    def _gather(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Tensors of ours by name; one of theirs that holds several is read once."""
        read: dict[tuple[str, ...], dict[str, Tensor]] = {}
        gathered: dict[str, Tensor] = {}
        for name in names:
            step = self.steps[name]
            if step.stored not in read:
                read[step.stored] = dict(zip(step.ours, self._read_step(step), strict=True))
            # A tied output may be all that is stored of the token table.
            gathered[name] = read[step.stored][name if name in step.ours else OUTPUT_WEIGHT]
        return gathered

    def _read_step(self, step: Step) -> tuple[Tensor, ...]:
        first, *others = (self.weights.tensor(name) for name in step.stored)
        for name, other in zip(step.stored[1:], others, strict=True):
            if not torch.equal(first, other):
                raise CheckpointError(
                    f"{step.stored[0]} and {name} in {self.located.folder} must be one and the same tensor, and differ",
                    remedy="If the model does not tie them, its config must say so: tie_word_embeddings: false.",
                )
        return tuple(step.rule.read(first))


def read_pretrained(
    source: str | Path | Located,
    *,
    revision: str | None = None,
    allow_pickle: bool = False,
    adapter: str | Path | None = None,
) -> Pretrained:
    """Understand a foreign checkpoint from its config and the headers of its weight files.

    Args:
        source: a folder, ``owner/name`` of the Hub, or what :func:`locate` found.
        revision: branch, tag or commit of the Hub.
        allow_pickle: read ``pytorch_model.bin`` where there are no safetensors.
        adapter: folder of a LoRA adapter in PEFT's format, to be merged onto the weights.

    Raises:
        CheckpointError: the folder is of no known family, or its config and weights do not fit each other; all
            faults are in one message.
    """
    located = source if isinstance(source, Located) else locate(source, revision=revision, allow_pickle=allow_pickle)
    config = read_json(located.folder / CONFIG_FILE)
    weights = open_weights(located.folder, allow_pickle=allow_pickle)
    if adapter is not None:
        weights = merge_adapter(weights, adapter)
    return understand(located, config, weights, find_family(config, name=str(located.folder / CONFIG_FILE)))


def load_model(
    source: str | Path,
    *,
    revision: str | None = None,
    allow_pickle: bool = False,
    adapter: str | Path | None = None,
    dtype: torch.dtype | None = None,
) -> Transformer:
    """The bare Transformer of a run of ours or of a foreign checkpoint, in evaluation mode.

    Args:
        source: a folder, or ``owner/name`` of the Hub.
        revision: branch, tag or commit of the Hub.
        allow_pickle: read ``pytorch_model.bin`` where there are no safetensors.
        adapter: folder of a LoRA adapter in PEFT's format, to be merged onto a foreign checkpoint.
        dtype: of the weights; as stored unless given.

    Raises:
        CheckpointError: as :func:`read_pretrained`.
        UnsupportedError: an adapter is given for a run of ours.
    """
    located = locate(source, revision=revision, allow_pickle=allow_pickle)
    if "format_version" in read_json(located.folder / CONFIG_FILE):
        if adapter is not None:
            raise UnsupportedError(f"{located.folder} is a run of ours, which has its adapters merged in already")
        return read_model(located.folder).to(dtype=dtype)
    return read_pretrained(located, allow_pickle=allow_pickle, adapter=adapter).load_model(dtype=dtype)


def find_family(config: Mapping[str, Any], *, name: str) -> Family:
    """The family that a config names.

    Raises:
        CheckpointError: it names none, or one that heedful does not know.
    """
    model_type = config.get("model_type")
    family = FAMILIES.get(model_type) if isinstance(model_type, str) else None
    if family is None:
        raise CheckpointError(
            f"{name} has the model_type {model_type!r:.80}, which heedful does not know",
            remedy=f"{nearest(str(model_type)[:40], FAMILIES).capitalize()}. `heedful families` lists them.",
        )
    return family


def understand(located: Located, config: Mapping[str, Any], weights: StoredWeights, family: Family) -> Pretrained:
    """Fit config and weights together; see :func:`read_pretrained`."""
    reader = ConfigReader(config)
    try:
        spec = family.spec(reader)
        output = None if family.language_model is None else family.language_model.spec(reader)
        labels, label_kind = _read_labels(reader)
        head = None if family.classifier is None else family.classifier.spec(reader, len(labels))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, detail['loc'])) or 'the model'}: {detail['msg']}" for detail in error.errors()]
        raise UnfitError(located, family, config_faults([*reader.faults, *faults])) from None
    reader.finish(family.ignored)
    if len(reader.faults) > len(reader.unread):  # weights cannot be held against a spec that is made up in part
        raise UnfitError(located, family, config_faults(reader.faults))

    complete = spec.model_copy(update={"output": output})
    num_layers = sum(len(stack.layers) for stack in (spec.encoder, spec.decoder) if stack is not None)
    if num_layers > len(weights):  # before a module of each is made
        fault = f"the config has {num_layers} layers, and the weights are {len(weights)} tensors"
        raise UnfitError(located, family, config_faults([*reader.faults, fault]))
    rules = _rules(family, complete, config)
    found = plan(rules, weights, prefixes=family.prefixes)
    steps = {name: step for step in found.steps for name in step.ours}
    if output is not None and family.language_model is not None:
        output = _as_stored(output, family.language_model.optional, steps)
        complete = spec.model_copy(update={"output": output})
    has_head = head is not None and HEAD_OUTPUT in steps
    wanted = _wanted(complete, head if has_head else None)
    own = [name for name in wanted if name.startswith(OUTPUT_PREFIX)]
    if output is not None and (not own or any(name in steps for name in own)):
        spec = complete
        if output.tied:
            _tie(steps, TOKEN_TABLE if spec.target_vocabulary_size is None else TARGET_TABLE)
    else:
        wanted = {name: shape for name, shape in wanted.items() if name not in own}
    unfit = [*config_faults(reader.faults), *_unfit(weights, steps, wanted, rules)]
    unexpected = [*found.unexpected, *_without_place(steps, wanted)]
    unfit += [Fault(FaultKind.UNEXPECTED, f"unexpected {name} {weights[name].shape}", name) for name in unexpected]
    if unfit:
        raise UnfitError(located, family, unfit, rules=rules, wanted=wanted)
    return Pretrained(
        located=located,
        family=family,
        config=config,
        spec=spec,
        head=head,
        has_head=has_head,
        labels=labels if has_head else (),
        label_kind=label_kind,
        notes=tuple(f"{name}: {reason}" for name, reason in found.dropped.items()),
        weights=weights,
        steps=steps,
    )


def _read_labels(reader: ConfigReader) -> tuple[tuple[str, ...], LabelKind]:
    """Labels in the order of the logits; upstream's names for two where the config gives none."""
    given = reader.section("id2label")
    names = {"0": "LABEL_0", "1": "LABEL_1"} if given is None else given.data
    expected = [str(number) for number in range(len(names))]
    if set(names) != set(expected) or not all(isinstance(name, str) for name in names.values()):
        reader.faults.append("id2label does not number its labels 0, 1, 2, …")
        return ("LABEL_0", "LABEL_1"), LabelKind.SINGLE
    if given is not None:
        given.read.update(names)
    kinds = {"single_label_classification": LabelKind.SINGLE, "multi_label_classification": LabelKind.MULTI}
    problem = reader.data.get("problem_type")
    kind = kinds.get(problem) if isinstance(problem, str) else LabelKind.SINGLE if problem is None else None
    if kind is None:
        reader.faults.append(f"problem_type is {problem!r:.80}: heedful classifies, with one label a text or several")
    return tuple(names[number] for number in expected), kind or LabelKind.SINGLE


def _rules(family: Family, spec: TransformerSpec, config: Mapping[str, Any]) -> Rules:
    """Those of the classification head count where the config's architecture may have one.

    They come first where the config names it: some families' two heads share names.
    """
    base = family.rules(spec)
    language = () if family.language_model is None else family.language_model.rules(spec)
    if family.classifier is None:
        return (*base, *language)
    own, architectures = family.classifier.rules(spec), named_architectures(config)
    if family.classifier.architecture in architectures:
        return (*base, *own, *language)
    return (*base, *language) if architectures else (*base, *language, *own)


def named_architectures(config: Mapping[str, Any]) -> list[str]:
    """Upstream's classes that a config names."""
    given = config.get("architectures")
    return [name for name in given if isinstance(name, str)] if isinstance(given, list) else []


def _as_stored(output: OutputSpec, optional: frozenset[str], steps: Mapping[str, Step]) -> OutputSpec:
    """The output without what need not be stored, and is not."""
    absent = {name for name in optional if name not in steps}
    return output.model_copy(
        update={"tied": output.tied or OUTPUT_WEIGHT in absent, "bias": output.bias and OUTPUT_BIAS not in absent}
    )


def _without_place(steps: Mapping[str, Step], wanted: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Stored weights that a rule knows and this model has no use for: those of a layer too many, for one.

    Parts of a head without its last layer, which some families keep with the base model, are none of them.
    """
    used = {step.stored for name, step in steps.items() if name in wanted}
    idle = {step.stored: step for step in steps.values() if step.stored not in used}
    return [stored[0] for stored, step in idle.items() if not any(name.startswith(HEAD_PREFIX) for name in step.ours)]


def _tie(steps: dict[str, Step], name: str) -> None:
    """Where output and token table are one tensor, either name will do, and both must hold the same."""
    output, table = steps.pop(OUTPUT_WEIGHT, None), steps.get(name)
    if output is None:
        return
    stored = output.stored if table is None else table.stored + output.stored
    base = output if table is None else table
    steps[name] = Step(base.rule, stored, base.ours)


def _wanted(spec: TransformerSpec, head: ClassificationHeadSpec | None) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all our tensors; nothing is allocated."""
    with skeleton():
        wanted = {name: tuple(tensor.shape) for name, tensor in build(spec).state_dict().items()}
        if head is not None:
            state = build_head(head, spec.d_model).state_dict()
            wanted |= {HEAD_PREFIX + name: tuple(tensor.shape) for name, tensor in state.items()}
    return wanted


def _unfit(
    weights: StoredWeights, steps: Mapping[str, Step], wanted: Mapping[str, tuple[int, ...]], rules: Rules
) -> list[Fault]:
    """Missing and misshapen weights, under upstream's names."""
    faults: dict[Fault, None] = {}
    shapes: dict[tuple[str, ...], Mapping[str, tuple[int, ...]]] = {}
    for name, shape in wanted.items():
        step = steps.get(name)
        if step is None:
            found = their_names(rules, name)
            theirs = name if found is None else found[0]
            faults[Fault(FaultKind.MISSING, f"missing {theirs}, our {name} {shape}", theirs, shape)] = None
            continue
        if step.stored not in shapes:
            shapes[step.stored] = _shapes(weights, step)
        actual = shapes[step.stored].get(name if name in step.ours else OUTPUT_WEIGHT)
        if actual != shape:
            stored = step.stored[0]
            text = f"misshapen {stored}: {weights[stored].shape} stored, our {name} is {shape}"
            faults[Fault(FaultKind.MISSHAPEN, text, stored, shape, actual)] = None
    return list(faults)


def _shapes(weights: StoredWeights, step: Step) -> dict[str, tuple[int, ...]]:
    """Shapes that a rule makes of the stored one; none where the rule does not fit it."""
    try:
        parts = step.rule.read(torch.empty(weights[step.stored[0]].shape, device="meta"))
    except CheckpointError:
        return {}
    return {name: tuple(part.shape) for name, part in zip(step.ours, parts, strict=True)}
