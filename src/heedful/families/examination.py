"""Config and weights of a checkpoint held against each other, as far as they go."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heedful.checkpoint import TASK_FILE, StoredWeights, read_config, read_json, read_spec
from heedful.checkpoint.doctor import (
    Finding,
    RenamedWeights,
    error,
    left_findings,
    listed,
    note,
    rename_findings,
    shape_findings,
    unwrap,
    wrapper_finding,
)
from heedful.checkpoint.folder import MODEL_PREFIX
from heedful.errors import CheckpointError
from heedful.families.pretrained import HEAD_PREFIX
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
    beside = {name for name in stored if examined.head is None and name.startswith(HEAD_PREFIX)}
    if beside:
        examined.idle = beside
        text = f"left aside: {listed(beside)}: a part of a head that no task is there for"
        examined.findings.append(note("left_aside", text, names=sorted(beside)))
    missing = {name: shape for name, shape in wanted.items() if name not in stored}
    unexpected = {name: shape for name, shape in stored.items() if name not in wanted and name not in beside}
    findings, mended = rename_findings(missing, unexpected)
    examined.findings += findings
    examined.findings += left_findings(missing.keys() - mended.values(), unexpected.keys() - mended.keys())
    misshapen = {
        name: (stored[name], shape) for name, shape in wanted.items() if name in stored and stored[name] != shape
    }
    examined.findings += shape_findings(misshapen)
