"""Why names or shapes of stored tensors are not those of the model, and what would mend it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

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
        f"{len(changed):,} of {len(bare):,} names hold {parts} too many, such as {stored}",
        f"The model was saved from inside a wrapper ({', '.join(owners)})."
        if owners
        else "The model was a part of another module when it was saved.",
        "; ".join(f"rename {part}X to X" for part in dict.fromkeys(taken)) + f" ({stored} to {name})",
        names=list(changed),
    )


def name_findings(
    missing: Mapping[str, Shape], unexpected: Mapping[str, Shape]
) -> tuple[list[Finding], dict[str, str]]:
    """Findings about tensors that are missing and others that nobody wants.

    Returns:
        The findings, and the names that would mend some of them: stored to wanted.
    """
    findings: list[Finding] = []
    mended: dict[str, str] = {}
    strangers: dict[str, list[str]] = defaultdict(list)
    for name in unexpected:
        if what := stranger(name):
            strangers[what].append(name)
    own = {name: shape for name, shape in unexpected.items() if not stranger(name)}
    for rule in renames(own, missing):
        mended |= rule.names
        findings.append(
            error(
                "renamed_block",
                f"{_tensors(len(rule.names))} called {rule.stored}, and the model calls such weights {rule.wanted}",
                "A part of the model bears another name; shapes and layers are the same.",
                str(rule),
                names=list(rule.names),
            )
        )
    for what, names in strangers.items():
        findings.append(error("stranger", f"{listed(names)}: {what}", remedy=_remedy(what), names=names))
    left = [name for name in missing if name not in mended.values()]
    over = [name for name in own if name not in mended]
    if left:
        findings.append(error("missing", f"{_tensors(len(left))} missing: {listed(left)}", names=left))
    if over:
        findings.append(error("unexpected", f"{_tensors(len(over))} unexpected: {listed(over)}", names=over))
    return findings, mended


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
