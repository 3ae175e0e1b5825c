"""What a checkpoint is and what is wrong with it, seen from its files alone: nothing is run, nothing built."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from heedful.checkpoint import CONFIG_FILE, TASK_FILE, Located, StoredWeights, locate, read_json
from heedful.checkpoint.doctor import (
    ADAPTER_CONFIG,
    Diagnosis,
    Finding,
    Form,
    error,
    look_at,
    note,
    open_files,
    value_findings,
    weight_files,
)
from heedful.errors import CheckpointError
from heedful.families.comparison import examine_foreign, likely_family
from heedful.families.description import describe_head, describe_model, dtype_counts
from heedful.families.examination import Examined, examine_ours
from heedful.text import Tokenizer

Progress = Callable[[int, int], None]
"""Told how many values were read, and how many there are."""


def diagnose(
    source: str | Path, *, revision: str | None = None, allow_pickle: bool = False, progress: Progress | None = None
) -> Diagnosis:
    """Examine a checkpoint without running it: files, config, names, shapes, tokenizer and values.

    Values are read a slice at a time, so that memory does not grow with the checkpoint.

    Args:
        source: a folder, or ``owner/name`` of the Hub.
        revision: branch, tag or commit of the Hub.
        allow_pickle: look into ``pytorch_model.bin`` where there are no safetensors.

    Raises:
        CheckpointError: there is no such folder, and nothing on the Hub.
    """
    located = locate(source, revision=revision, allow_pickle=allow_pickle)
    folder = located.folder
    findings: list[Finding] = []
    config = _read_config(folder, findings)
    form = _form_of(folder, config)
    if form is Form.ADAPTER:
        return _adapter(located, findings)
    weights, of_files = open_files(folder, allow_pickle=allow_pickle)
    findings += of_files
    examined = _examine(located, form, config, weights)
    findings += examined.findings
    tokenizer = _tokenizer(folder, examined, needed=examined.labels != (), findings=findings)
    if weights is not None:
        findings += _values(examined.weights or weights, config, examined, progress)
    return _diagnosis(located, form, weights, examined, tokenizer, findings)


def _read_config(folder: Path, findings: list[Finding]) -> Mapping[str, Any]:
    if not (folder / CONFIG_FILE).is_file():
        return {}
    try:
        return read_json(folder / CONFIG_FILE)
    except CheckpointError as caught:
        findings.append(error("config", caught.message, remedy=caught.remedy, names=[CONFIG_FILE]))
        return {}


def _form_of(folder: Path, config: Mapping[str, Any]) -> Form:
    if "format_version" in config or (folder / TASK_FILE).is_file():
        return Form.HEEDFUL
    if config:
        return Form.HUGGINGFACE
    if (folder / ADAPTER_CONFIG).is_file() and not weight_files(folder):
        return Form.ADAPTER
    return Form.UNKNOWN


def _examine(located: Located, form: Form, config: Mapping[str, Any], weights: StoredWeights | None) -> Examined:
    if form is Form.HEEDFUL:
        return examine_ours(located.folder, config, weights)
    if form is Form.HUGGINGFACE:
        return examine_foreign(located, config, weights)
    if weights is None:
        return Examined()
    likely = likely_family(weights)
    return Examined(
        findings=[
            error(
                "no_config",
                f"there is no {CONFIG_FILE}",
                f"By the names of its weights this is a checkpoint of the family {likely}." if likely else None,
                f"Take {CONFIG_FILE} from where the weights come from.",
            )
        ]
    )


def _adapter(located: Located, findings: list[Finding]) -> Diagnosis:
    folder = located.folder
    try:
        settings = read_json(folder / ADAPTER_CONFIG)
    except CheckpointError as caught:
        settings, what = {}, "a low-rank adapter"
        findings.append(error("adapter_config", caught.message, remedy=caught.remedy))
    else:
        what = f"a PEFT adapter of the type {settings.get('peft_type')!a:.40}, rank {settings.get('r')!a:.20}"
    base = settings.get("base_model_name_or_path")
    named = f"{base!s:.200}" if base else "not named"
    findings.append(
        error(
            "adapter_without_base",
            "these are changes to the weights of a base, and the base is not here",
            f"An adapter was saved; its base is {named}.",
            "Give both: model.checkpoint and model.adapter in a recipe, or "
            f'heedful.load_model("{base or "BASE"}", adapter="{folder}").',
        )
    )
    return Diagnosis(str(folder), located.revision, Form.ADAPTER, what, {"base": named}, findings=tuple(findings))


def _tokenizer(folder: Path, examined: Examined, *, needed: bool, findings: list[Finding]) -> str | None:
    """What the tokenizer is; None where there is none."""
    try:
        tokenizer = Tokenizer.load(folder)
    except CheckpointError as caught:
        if caught.message.startswith("there is no tokenizer"):
            files = "tokenizer.json, or an older vocabulary"
            report = error if needed else note
            findings.append(report("no_tokenizer", f"there is no tokenizer ({files})", remedy=caught.remedy))
        else:
            findings.append(error("tokenizer", caught.message, remedy=caught.remedy))
        return None
    size, known = tokenizer.vocabulary_size, examined.spec and examined.spec.vocabulary_size
    if known and size > known:
        findings.append(
            error(
                "tokenizer_too_large",
                f"the tokenizer has {size:,} tokens, and the model knows {known:,}",
                "Tokens were added to the tokenizer and not to the model, or it is the tokenizer of another model.",
                "Take the tokenizer that the model was trained with.",
            )
        )
    special = [role for role, number in vars(tokenizer.special).items() if number is not None]
    return f"{size:,} tokens, special ones for {', '.join(special) or 'nothing'}"


def _values(
    weights: StoredWeights, config: Mapping[str, Any], examined: Examined, progress: Progress | None
) -> list[Finding]:
    total = sum(math.prod(info.shape) for info in weights.values() if info.dtype.is_floating_point)
    done = 0

    def on_values(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    std = config.get("initializer_range", config.get("init_std"))
    findings = value_findings(
        look_at(weights, on_values),
        initializer_range=float(std) if isinstance(std, int | float) and not isinstance(std, bool) else None,
        idle=lambda module: f"{module}.weight" in examined.idle,
    )
    return list(findings)


def _diagnosis(
    located: Located,
    form: Form,
    weights: StoredWeights | None,
    examined: Examined,
    tokenizer: str | None,
    findings: list[Finding],
) -> Diagnosis:
    parts = {} if examined.spec is None else describe_model(examined.spec)
    if examined.head is not None and examined.labels:
        parts["head"] = describe_head(examined.head, examined.labels)
    elif examined.spec is not None and examined.spec.output is None:
        parts["head"] = "none: the bare model"
    if tokenizer is not None:
        parts["tokenizer"] = tokenizer
    dtypes: Counter[str] = Counter()
    parameters = None
    if weights is not None:
        for info in weights.values():
            if info.dtype.is_floating_point:
                dtypes[str(info.dtype).removeprefix("torch.")] += math.prod(info.shape)
        parameters = examined.parameters or sum(dtypes.values())
        files = sorted({info.file for info in weights.values()})
        size = sum((located.folder / file).stat().st_size for file in files)
        counted = f"{files[0]}" if len(files) == 1 else f"{len(files)} files"
        parts["weights"] = f"{len(weights):,} tensors, {parameters:,} parameters, {dtype_counts(dtypes)}"
        parts["files"] = f"{counted}, {size / 1e6:,.1f} MB"
    return Diagnosis(
        folder=str(located.folder),
        revision=located.revision,
        form=form,
        what=examined.what or _WHAT[form],
        parts=parts,
        family=examined.family,
        parameters=parameters,
        dtypes=dict(dtypes),
        shapes={} if weights is None else {name: info.shape for name, info in weights.items()},
        labels=examined.labels,
        findings=tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.severity.value))),
    )


_WHAT = {
    Form.HEEDFUL: "a model folder of heedful",
    Form.HUGGINGFACE: "a checkpoint in the form of Hugging Face",
    Form.UNKNOWN: "no checkpoint that heedful knows",
}
_ORDER = ("error", "warning", "note")
