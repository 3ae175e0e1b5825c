"""Config and weights of a checkpoint held against each other, as far as they go."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from heedful.checkpoint import CONFIG_FILE, TASK_FILE, Located, StoredWeights, read_config, read_json, read_spec
from heedful.checkpoint.doctor import (
    Finding,
    RenamedWeights,
    Shape,
    error,
    listed,
    name_findings,
    note,
    shape_findings,
    unwrap,
    warning,
    wrapper_finding,
)
from heedful.checkpoint.folder import MODEL_PREFIX
from heedful.checkpoint.rules import write
from heedful.errors import CheckpointError
from heedful.families.family import Family
from heedful.families.faults import FaultKind, UnfitError
from heedful.families.mending import mend_config
from heedful.families.pretrained import HEAD_PREFIX, Pretrained, find_family, understand
from heedful.families.recognition import count_known, likely_families
from heedful.model import ClassificationHeadSpec, TransformerSpec, build, build_head
from heedful.model.skeleton import skeleton
from heedful.settings import parse


@dataclass
class Examined:
    """What could be made out, and what is wrong."""

    what: str = ""
    family: str | None = None
    spec: TransformerSpec | None = None
    head: ClassificationHeadSpec | None = None
    labels: tuple[str, ...] = ()
    parameters: int | None = None
    weights: StoredWeights | None = None
    """Under the names that they ought to have."""
    findings: list[Finding] = field(default_factory=list)
    idle: set[str] = field(default_factory=set)
    """Tensors that are read by nothing that the checkpoint is made for."""


def examine_ours(folder: Path, config: Mapping[str, Any], weights: StoredWeights | None) -> Examined:
    """A folder that heedful wrote: a run, or a bare model."""
    examined = Examined(what=_what_ours(folder, config))
    try:
        read_config(folder)
        card = read_json(folder / TASK_FILE) if (folder / TASK_FILE).is_file() else {}
        if "head" in card:
            place = f"the head in {folder / TASK_FILE}"
            examined.head = parse(ClassificationHeadSpec, card["head"], name=place, error=CheckpointError)
        labels = card.get("labels")
        examined.labels = tuple(map(str, labels)) if isinstance(labels, list) else ()
        examined.spec = None if "module" in config else read_spec(folder)
    except CheckpointError as caught:
        examined.findings.append(error("config", caught.message, remedy=caught.remedy))
        return examined
    if examined.head is not None and examined.head.num_labels != len(examined.labels):
        text = f"the head gives {examined.head.num_labels} logits, and {TASK_FILE} has {len(examined.labels)} labels"
        examined.findings.append(error("labels", text, remedy=f"Take {TASK_FILE} of the same run."))
    if "module" in config:
        file = config["module"].get("file") if isinstance(config["module"], dict) else None
        text = f"the model is code of your own, {file!a:.200}, which is not run here: its weights are not compared"
        examined.findings.append(note("own_module", text))
    if weights is not None and examined.spec is not None:
        _compare_ours(examined, weights, examined.spec)
    return examined


def _what_ours(folder: Path, config: Mapping[str, Any]) -> str:
    origin = config.get("origin")
    began = (
        f", which began as a checkpoint of the family {origin.get('family')!s:.40}" if isinstance(origin, dict) else ""
    )
    if not (folder / TASK_FILE).is_file():
        return f"a bare model of heedful{began}"
    run = " and run" if (folder / "recipe.yaml").is_file() else ""
    return f"a model{run} of heedful{began}"


def _compare_ours(examined: Examined, weights: StoredWeights, spec: TransformerSpec) -> None:
    with skeleton():
        wanted = {MODEL_PREFIX + name: tuple(tensor.shape) for name, tensor in build(spec).state_dict().items()}
        if examined.head is not None:
            state = build_head(examined.head, spec.d_model).state_dict()
            wanted |= {HEAD_PREFIX + name: tuple(tensor.shape) for name, tensor in state.items()}
    examined.parameters = sum(math.prod(shape) for shape in wanted.values())
    bare, taken = unwrap(weights, lambda names: sum(name in wanted for name in names))
    examined.weights = RenamedWeights(weights, bare)
    if taken:
        examined.findings.append(wrapper_finding(bare, taken))
    stored = {name: info.shape for name, info in examined.weights.items()}
    findings, _ = name_findings(
        {name: shape for name, shape in wanted.items() if name not in stored},
        {name: shape for name, shape in stored.items() if name not in wanted},
    )
    examined.findings += findings
    misshapen = {
        name: (stored[name], shape) for name, shape in wanted.items() if name in stored and stored[name] != shape
    }
    examined.findings += shape_findings(misshapen)


def examine_foreign(located: Located, config: Mapping[str, Any], weights: StoredWeights | None) -> Examined:
    """A checkpoint of one of the families, or of none that is known."""
    place = located.folder / CONFIG_FILE
    try:
        family = find_family(config, name=str(place))
    except CheckpointError as caught:
        likely = " or ".join(likely_families(list(weights))) if weights else ""
        cause = f"The names of its weights are those of the family {likely}." if likely else None
        finding = error("unknown_family", caught.message, cause, caught.remedy)
        return Examined(what=f"a checkpoint of the model type {config.get('model_type')!a:.40}", findings=[finding])
    examined = Examined(what=f"a checkpoint of the family {family.model_type}", family=family.model_type)
    if weights is not None:
        _compare_foreign(examined, located, config, weights, family)
    return examined


def _compare_foreign(
    examined: Examined, located: Located, config: Mapping[str, Any], weights: StoredWeights, family: Family
) -> None:
    bare, taken = unwrap(weights, lambda names: count_known(family, config, names))
    if taken:
        examined.findings.append(wrapper_finding(bare, taken))
    examined.weights = RenamedWeights(weights, bare)
    likely = likely_families(list(bare))
    if count_known(family, config, list(bare)) < len(bare) / 2 and likely and family.model_type not in likely:
        named = " or ".join(likely)
        examined.findings.append(
            error(
                "other_family",
                f"{CONFIG_FILE} is of the family {family.model_type}, and the weights bear the names of {named}",
                "Files of two models lie in one folder, or model_type was changed.",
                f"Take {CONFIG_FILE} and the weights from the same place.",
            )
        )
        return
    outcome = _understood(examined, located, config, family)
    if isinstance(outcome, Pretrained):
        _describe(examined, outcome)


def _understood(
    examined: Examined, located: Located, config: Mapping[str, Any], family: Family
) -> Pretrained | UnfitError:
    """The checkpoint as it would be with everything mended that can be; what had to be is told."""
    assert examined.weights is not None
    try:
        return understand(located, config, examined.weights, family)
    except UnfitError as caught:
        unfit = caught
    told = [fault.text for fault in unfit.faults if fault.kind is FaultKind.CONFIG]
    if told:
        examined.findings += [error("config", f"{CONFIG_FILE}: {text}", remedy=_OF_CONFIG) for text in told]
        return unfit
    mended = mend_config(located, config, examined.weights, family, unfit)
    if isinstance(mended.outcome, Pretrained) or len(mended.outcome.faults) <= len(unfit.faults) / 2:
        examined.findings += [
            error(
                "config_value",
                f"{CONFIG_FILE} says {key}: {_yaml(before)}, and the weights are of {key}: {_yaml(after)}",
                f"With that, {len(unfit.faults)} tensors that are missing, unexpected or misshapen now would fit."
                if isinstance(mended.outcome, Pretrained)
                else f"With that, {len(unfit.faults) - len(mended.outcome.faults)} of {len(unfit.faults)} faults go.",
                f"Set {key} to {_yaml(after)} in {CONFIG_FILE}, or take the config of these weights.",
                names=[fault.name for fault in unfit.faults],
            )
            for key, (before, after) in mended.changes.items()
        ]
        if isinstance(mended.outcome, Pretrained):
            return mended.outcome
        unfit = mended.outcome
    return _rename(examined, located, mended.config, family, unfit)


def _rename(
    examined: Examined, located: Located, config: Mapping[str, Any], family: Family, unfit: UnfitError
) -> Pretrained | UnfitError:
    weights = examined.weights
    assert weights is not None
    by_kind = {kind: [fault for fault in unfit.faults if fault.kind is kind] for kind in FaultKind}
    shapes = _their_shapes(unfit)
    missing = {fault.name: shapes.get(fault.name, fault.wanted or ()) for fault in by_kind[FaultKind.MISSING]}
    unexpected = {fault.name: weights[fault.name].shape for fault in by_kind[FaultKind.UNEXPECTED]}
    findings, mended = name_findings(missing, unexpected)
    examined.findings += findings
    examined.findings += shape_findings(
        {fault.name: (fault.stored, fault.wanted or ()) for fault in by_kind[FaultKind.MISSHAPEN]}
    )
    if not mended:
        return unfit
    examined.weights = RenamedWeights(weights, {mended.get(name, name): name for name in weights})
    try:
        return understand(located, config, examined.weights, family)
    except UnfitError as caught:
        return caught


def _their_shapes(unfit: UnfitError) -> dict[str, Shape]:
    """Shapes of all tensors as upstream stores them."""
    ours = {name: torch.empty(shape, device="meta") for name, shape in unfit.wanted.items()}
    try:
        return {name: tuple(tensor.shape) for name, tensor in write(unfit.rules, ours).items()}
    except CheckpointError:
        return {}


def _describe(examined: Examined, pretrained: Pretrained) -> None:
    family = pretrained.family
    examined.spec, examined.labels = pretrained.spec, pretrained.labels
    examined.head = pretrained.head if pretrained.has_head else None
    examined.findings += [note("left_aside", text) for text in _grouped_notes(pretrained.notes)]
    examined.findings += _untied(pretrained)
    examined.findings += _promised(pretrained)
    stored = {step.stored[0] for step in pretrained.steps.values()}
    examined.parameters = sum(math.prod(pretrained.weights[name].shape) for name in stored)
    of_head = {name for ours, step in pretrained.steps.items() if ours.startswith(HEAD_PREFIX) for name in step.stored}
    examined.idle = {*([] if pretrained.has_head else of_head), *(text.partition(":")[0] for text in pretrained.notes)}
    architecture = next(iter(pretrained.config.get("architectures") or []), None)
    examined.what = f"a checkpoint of the family {family.model_type}" + (f" ({architecture})" if architecture else "")


def _untied(pretrained: Pretrained) -> list[Finding]:
    """Tensors that the config makes one, and that are stored twice with other values."""
    findings = []
    for step in {step.stored: step for step in pretrained.steps.values() if len(step.stored) > 1}.values():
        first, *others = step.stored
        value = pretrained.weights.tensor(first)
        different = [name for name in others if not torch.equal(value, pretrained.weights.tensor(name))]
        if different:
            findings.append(
                error(
                    "untied",
                    f"{first} and {', '.join(different)} are one tensor by the config, and differ",
                    "The model was trained with embeddings that are not tied, and its config does not say so.",
                    f"Set tie_word_embeddings to false in {CONFIG_FILE}.",
                    names=step.stored,
                )
            )
    return findings


def _promised(pretrained: Pretrained) -> list[Finding]:
    """Heads that the config names and the weights lack."""
    family, named = pretrained.family, pretrained.config.get("architectures") or []
    heads = (
        (family.classifier, pretrained.has_head, "classification head"),
        (family.language_model, pretrained.spec.output is not None, "language-model head"),
    )
    return [
        warning(
            "no_head",
            f"{CONFIG_FILE} names {head.architecture}, and the weights hold no {what}",
            "Only the model below the head was saved, or the head's weights bear other names.",
            "Train a head (model.checkpoint in a recipe), or take a checkpoint that has one.",
        )
        for head, held, what in heads
        if head is not None and head.architecture in named and not held
    ]


def _grouped_notes(notes: Sequence[str]) -> list[str]:
    """Notes with those of one reason in one line."""
    reasons: dict[str, list[str]] = {}
    for text in notes:
        name, _, reason = text.partition(": ")
        reasons.setdefault(reason, []).append(name)
    return [f"left aside: {listed(names)}: {reason}" for reason, names in reasons.items()]


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_OF_CONFIG = "Correct the key, or take the config that was saved with these weights."
