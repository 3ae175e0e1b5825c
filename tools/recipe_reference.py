"""Write docs/reference/recipe.md from the classes that check recipes, so that the page cannot go stale.

Run: python tools/recipe_reference.py. A test holds that the committed page is what this writes.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MultipleOf
from pydantic.fields import FieldInfo

from heedful.model import PRESETS
from heedful.settings import Settings
from heedful.training import Recipe

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "recipe.md"

INTRODUCTION = """\
<!-- Written by tools/recipe_reference.py from the classes that check recipes. Change those, then run it. -->

# Recipes

A recipe is a YAML file that describes a whole run: the job, the data, the tokenizer, the model and the training.
`heedful train` takes the path of one, or the name of one that ships with heedful.

Any key can be set on the command line by its dotted path, such as `training.epochs=3`; values are YAML. From Python:
`heedful.train("helpdesk", **{"training.epochs": 3})`. Unknown keys and impossible values are refused before anything is
written. The message lists all faults, and the nearest valid key for a misspelt one. The resolved recipe, with every
default filled in, is saved in the run's folder as `recipe.yaml`.

Under the meaning of each key stand the type of its value and its default. `null` means: none.
"""

SECTIONS = {
    "": "The run",
    "task": "`task`: the job",
    "data": "`data`: where the examples come from",
    "tokenizer": "`tokenizer`: how text becomes tokens",
    "model": "`model`: the Transformer",
    "training": "`training`: how it learns",
}

PRESETS_TEXT = """
### Presets

`model.preset` names a set of the keys above; keys given beside it win. `tiny` and `small` train on two processor cores;
`base` and `big` are those of the paper (Vaswani et al. 2017, Table 3). Keys that are not shown keep their defaults.
"""

_BOUNDS = (
    (Gt, ">", "gt"),
    (Ge, "≥", "ge"),
    (Lt, "<", "lt"),
    (Le, "≤", "le"),
    (MultipleOf, "a multiple of", "multiple_of"),
)
_NAMES = {str: "text", int: "integer", float: "number", bool: "true or false", types.NoneType: "null"}


@dataclass(frozen=True)
class Key:
    """One key of a recipe, as the page shows it."""

    path: str
    kind: str
    default: str
    meaning: str


def keys(model: type[Settings], prefix: str = "") -> Iterator[Key]:
    """Every key of ``model``, those of the groups in it at their dotted paths."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        if (group := _group(field)) is None or group is not field.annotation:
            yield Key(path, _kind(field), _default(field), _meaning(field))
        if group is not None:
            yield from keys(group, f"{path}.")


def _group(field: FieldInfo) -> type[Settings] | None:
    """The group of keys that a field holds, also where there may be none."""
    kinds = (field.annotation, *get_args(field.annotation))
    return next((kind for kind in kinds if inspect.isclass(kind) and issubclass(kind, Settings)), None)


def page() -> str:
    """The page as Markdown."""
    found = list(keys(Recipe))
    parts = [INTRODUCTION]
    for section, title in SECTIONS.items():
        parts.append(f"\n## {title}\n\n")
        parts.append(_table(key for key in found if _section(key.path) == section))
        if section == "model":
            parts += [PRESETS_TEXT, "\n", _presets_table()]
    return "".join(parts)


def _section(path: str) -> str:
    return path.partition(".")[0] if "." in path else ""


def _table(rows: Iterator[Key]) -> str:
    lines = ["| key | meaning, type and default |", "|---|---|"]
    lines += [f"| `{key.path}` | {key.meaning}<br>*{key.kind}; {key.default}* |" for key in rows]
    return "\n".join(lines) + "\n"


def _presets_table() -> str:
    presets = {name: preset.model_dump(mode="json", exclude_unset=True) for name, preset in PRESETS.items()}
    names = [
        name for name in next(iter(PRESETS.values())).__class__.model_fields if any(name in p for p in presets.values())
    ]
    lines = ["| preset | " + " | ".join(f"`{name}`" for name in names) + " |", "|---" * (len(names) + 1) + "|"]
    for preset, values in presets.items():
        cells = [f"`{_yaml(values[name])}`" if name in values else "" for name in names]
        lines.append(f"| `{preset}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _kind(field: FieldInfo) -> str:
    bounds = [
        f"{sign}\N{NO-BREAK SPACE}{getattr(item, attribute):,}"
        for item in field.metadata
        for kind, sign, attribute in _BOUNDS
        if isinstance(item, kind)
    ]
    name, null, _ = _type_name(field.annotation).partition(" or null")
    return ", ".join([name, *bounds, null.strip()]) if bounds and null else ", ".join([name, *bounds]) + null


def _type_name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type_name(member) for member in arguments))
    if origin is Literal:
        return " or ".join(f"`{_yaml(member)}`" for member in arguments)
    if origin is tuple:
        inner = _type_name(arguments[0])
        return f"list of {inner}s" if arguments[-1] is Ellipsis else f"list of {len(arguments)} {inner}s"
    if hasattr(annotation, "__metadata__"):
        return _kind(FieldInfo.from_annotation(annotation))
    return _class_name(annotation)


def _class_name(kind: type) -> str:
    if issubclass(kind, Enum):
        return " or ".join(f"`{member.value}`" for member in kind)
    return "the keys below" if issubclass(kind, Settings) else _NAMES[kind]


def _default(field: FieldInfo) -> str:
    return "required" if field.is_required() else f"default `{_yaml(field.get_default())}`"


def _yaml(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(_yaml(member) for member in value)}]"
    return "null" if value is None else str(value)


def _meaning(field: FieldInfo) -> str:
    """The field's description, and what each member of its enumeration means."""
    kinds = [kind for kind in (field.annotation, *get_args(field.annotation)) if inspect.isclass(kind)]
    members = {name: text for kind in kinds if issubclass(kind, Enum) for name, text in _member_texts(kind).items()}
    told = [f"`{name}`: {text[0].lower()}{text[1:].removesuffix('.')}" for name, text in members.items()]
    return "<br>".join([field.description or "", *told]).replace("|", "\\|")


def _member_texts(kind: type[Enum]) -> dict[str, str]:
    """The strings under an enumeration's members, by the members' values."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(tree, ast.ClassDef)
    texts = {}
    for before, after in zip(tree.body, tree.body[1:], strict=False):
        match before, after:
            case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(text))):
                texts[kind[name].value] = " ".join(text.split())
    return texts


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
