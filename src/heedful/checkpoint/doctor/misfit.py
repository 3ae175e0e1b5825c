"""Why names or shapes of stored tensors are not those of the model, and what would mend it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from heedful.checkpoint.doctor.findings import Finding, error
from heedful.checkpoint.doctor.names import Shape, listed, owner_of, renames, stranger


def wrapper_finding(bare: Mapping[str, str], taken: list[str]) -> Finding:
    """What is known of a wrapper that stood around the names.

    Args:
        bare: bare to stored name.
        taken: the parts that were taken off.
    """
    changed = {stored: name for name, stored in bare.items() if name != stored}
    stored, name = next(iter(changed.items()))
    owners = [owner for part in taken if (owner := owner_of(part))]
    parts = "".join(dict.fromkeys(taken))
    return error(
        "wrapper_prefix",
        f"{len(changed):,} of {len(bare):,} names hold {parts} besides, such as {stored}",
        f"The model was saved from inside a wrapper ({', '.join(owners)})."
        if owners
        else "The model was a part of another module when it was saved.",
        "; ".join(f"rename {part}X to X" for part in dict.fromkeys(taken)) + f" ({stored} to {name})",
        names=list(changed),
    )


def rename_findings(
    missing: Mapping[str, Shape], unexpected: Mapping[str, Shape]
) -> tuple[list[Finding], dict[str, str]]:
    """Tensors that nobody wants and that may be those that are missing, under other names.

    Returns:
        The findings, and stored to wanted name.
    """
    rules = renames({name: shape for name, shape in unexpected.items() if not stranger(name)}, missing)
    findings = [
        error(
            "renamed_block",
            f"{_tensors(len(rule.names))} called {rule.stored}, and the model calls such weights {rule.wanted}",
            "A part of the model bears another name: shapes and layers are the same.",
            str(rule),
            names=list(rule.names),
        )
        for rule in rules
    ]
    return findings, {stored: wanted for rule in rules for stored, wanted in rule.names.items()}


def left_findings(missing: Collection[str], unexpected: Collection[str]) -> Iterator[Finding]:
    """Tensors that are missing and others that nobody wants, where no other name explains them."""
    strangers: dict[str, list[str]] = defaultdict(list)
    for name in unexpected:
        strangers[stranger(name) or ""].append(name)
    own = strangers.pop("", [])
    for what, names in strangers.items():
        yield error("stranger", f"{listed(names)}: {what}", remedy=_remedy(what), names=names)
    if missing:
        yield error("missing", f"{_tensors(len(missing))} missing: {listed(missing)}", names=list(missing))
    if own:
        yield error("unexpected", f"{_tensors(len(own))} unexpected: {listed(own)}", names=own)


def shape_findings(misshapen: Mapping[str, tuple[Shape | None, Shape]]) -> Iterator[Finding]:
    """Findings about tensors whose shape is not the model's.

    Args:
        misshapen: name -> stored and wanted shape, as our tensor has it.
    """
    turned = [name for name, (stored, wanted) in misshapen.items() if stored is not None and stored == wanted[::-1]]
    for kind, names in (("transposed", turned), ("misshapen", [name for name in misshapen if name not in turned])):
        if names:
            stored, wanted = misshapen[names[0]]
            shown = "cannot be made into" if stored is None else f"{stored} stored,"
            yield error(
                kind,
                f"{_tensors(len(names))} misshapen: {listed(names)} ({names[0]}: {shown} {wanted} wanted)",
                "Stored as (in, out) instead of (out, in)." if kind == "transposed" else None,
                "Transpose these matrices." if kind == "transposed" else None,
                names=names,
            )


def _remedy(what: str) -> str | None:
    if what.startswith("LoRA"):
        return "Merge them where they were trained (PEFT: merge_and_unload), and save again."
    return "Take a version that is not quantised." if what.startswith("quantised") else None


def _tensors(count: int) -> str:
    return "1 tensor is" if count == 1 else f"{count:,} tensors are"
