"""A foreign checkpoint held against its config, and mended on trial: by names, then by values of the config."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import torch

from heedful.checkpoint import CONFIG_FILE, Located, StoredWeights
from heedful.checkpoint.doctor import (
    Finding,
    RenamedWeights,
    Shape,
    error,
    left_findings,
    listed,
    note,
    rename_findings,
    shape_findings,
    unwrap,
    warning,
    wrapper_finding,
)
from heedful.checkpoint.rules import write
from heedful.errors import CheckpointError
from heedful.families.examination import Examined
from heedful.families.family import Family
from heedful.families.faults import FaultKind, UnfitError
from heedful.families.mending import mend_config
from heedful.families.pretrained import HEAD_PREFIX, Pretrained, find_family, named_architectures, understand
from heedful.families.recognition import count_known, likely_families


def examine_foreign(located: Located, config: Mapping[str, Any], weights: StoredWeights | None) -> Examined:
    """A checkpoint of one of the families, or of none that is known."""
    place = located.folder / CONFIG_FILE
    try:
        family = find_family(config, name=str(place))
    except CheckpointError as caught:
        likely = likely_family(weights) if weights else ""
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
    likely = likely_families(bare)
    if count_known(family, config, list(bare)) < len(bare) / 2 and likely and family.model_type not in likely:
        named = likely_family(bare)
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
    """The checkpoint as it would be with everything mended that can be; what had to be, and what is left, is told."""
    weights = examined.weights
    assert weights is not None
    outcome = _try(located, config, weights, family)
    if isinstance(outcome, UnfitError) and not outcome.of_config:
        outcome = _mend_names(examined, located, config, family, outcome)
    if isinstance(outcome, UnfitError) and not outcome.of_config:
        outcome = _mend_config(examined, located, config, family, outcome)
    if isinstance(outcome, UnfitError):
        examined.findings += _left(outcome)
    return outcome


def _try(
    located: Located, config: Mapping[str, Any], weights: StoredWeights, family: Family
) -> Pretrained | UnfitError:
    try:
        return understand(located, config, weights, family)
    except UnfitError as unfit:
        return unfit


def _mend_names(
    examined: Examined, located: Located, config: Mapping[str, Any], family: Family, unfit: UnfitError
) -> Pretrained | UnfitError:
    weights, shapes = examined.weights, _their_shapes(unfit)
    assert weights is not None
    prefix = next((prefix for prefix in family.prefixes if any(name.startswith(prefix) for name in weights)), "")
    missing = {prefix + fault.name: shapes.get(fault.name, ()) for fault in unfit.of(FaultKind.MISSING)}
    unexpected = {fault.name: weights[fault.name].shape for fault in unfit.of(FaultKind.UNEXPECTED)}
    findings, mended = rename_findings(missing, unexpected)
    renamed = RenamedWeights(weights, {mended.get(name, name): name for name in weights})
    outcome = _try(located, config, renamed, family) if mended else unfit
    if isinstance(outcome, UnfitError) and len(outcome.faults) >= len(unfit.faults):
        return unfit
    examined.findings += findings
    examined.weights = renamed
    return outcome


def _mend_config(
    examined: Examined, located: Located, config: Mapping[str, Any], family: Family, unfit: UnfitError
) -> Pretrained | UnfitError:
    assert examined.weights is not None
    mended = mend_config(located, config, examined.weights, family, unfit)
    left = 0 if isinstance(mended.outcome, Pretrained) else len(mended.outcome.faults)
    if left > len(unfit.faults) / 2:
        return unfit
    fitting = f"{len(unfit.faults) - left} of {len(unfit.faults)} faults"
    examined.findings += [
        error(
            "config_value",
            f"{CONFIG_FILE} says {key}: {_yaml(before)}, and the weights are of {key}: {_yaml(after)}",
            f"{CONFIG_FILE} was changed, or is of another model: with {key}: {_yaml(after)}, {fitting} are gone.",
            f"Set {key} to {_yaml(after)} in {CONFIG_FILE}, or take the config of these weights.",
            names=[fault.name for fault in unfit.faults],
        )
        for key, (before, after) in mended.changes.items()
    ]
    return mended.outcome


def _left(unfit: UnfitError) -> Iterator[Finding]:
    """What nothing mends."""
    for text in dict.fromkeys(fault.text for fault in unfit.of(FaultKind.CONFIG)):
        yield error("config", f"{CONFIG_FILE}: {text}", remedy=_OF_CONFIG)
    missing, unexpected = unfit.of(FaultKind.MISSING), unfit.of(FaultKind.UNEXPECTED)
    yield from left_findings([fault.name for fault in missing], [fault.name for fault in unexpected])
    misshapen = unfit.of(FaultKind.MISSHAPEN)
    yield from shape_findings({fault.name: (fault.stored, fault.wanted or ()) for fault in misshapen})


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
    architecture = next(iter(named_architectures(pretrained.config)), None)
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
    family, named = pretrained.family, named_architectures(pretrained.config)
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


def likely_family(names: Collection[str]) -> str:
    """The families that the names may be of, in words; empty where they are of none."""
    families = likely_families(names)
    shown = [*families[:3], "others"] if len(families) > 3 else families
    return " or ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))
