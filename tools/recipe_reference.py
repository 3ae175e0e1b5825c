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

from heedful.model import PRESETS, TransformerSpec, UniformSpec
from heedful.settings import Settings
from heedful.tasks import JOBS, CheckpointSource, ModuleSource, SpecSource
from heedful.tasks.text_to_text import PAPER_TRAINING
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

SPEC_EXAMPLE = """\
model:
  spec:
    vocabulary_size: 3000
    d_model: 192
    encoder:
      embeddings:
        positions:
          kind: sinusoidal
      layers:
        - self_attention: {num_heads: 4, head_dim: 48}
          feed_forward: {d_ff: 768, activation: gelu}
        - self_attention: {num_heads: 2, head_dim: 96, window: 8}
      norm:
        kind: rms
"""

TASK_TEXT = """\
`task.job` says what the model is to do; the other keys of the section depend on it.
"""

TASK_FORMS: dict[type[Settings], tuple[str, str]] = {
    JOBS["classification"].settings: (
        "Classification",
        "Labels for texts: [the tutorial](../tutorials/first-classifier.md).\n",
    ),
    JOBS["translation"].settings: (
        "Translation",
        "Texts in another language: [how to translate](../how-to/translate.md).\n",
    ),
    JOBS["summarization"].settings: (
        "Summarization",
        "What matters in a text, in fewer words: [how to summarize](../how-to/summarize.md).\n",
    ),
}

MODEL_TEXT = """\
The section has one of four forms; the keys of one do not go with those of another.
"""

MODEL_FORMS: dict[type[Settings], tuple[str, str]] = {
    UniformSpec: ("Layers that are all alike", "The usual form, for a model that learns from nothing.\n"),
    CheckpointSource: (
        "A checkpoint",
        "A model that was trained before, with its tokenizer: the section `tokenizer` is left out. The head is new,\n"
        "unless the labels are those that the checkpoint knows.\n",
    ),
    SpecSource: (
        "A tree, written out",
        "Every layer for itself: layers may differ. The vocabulary is as large as the tokenizer's, or larger.\n\n"
        f"```yaml\n{SPEC_EXAMPLE}```\n",
    ),
    ModuleSource: (
        "A module of your own",
        "[Your own model](../tutorials/your-own-model.md) shows one.\n",
    ),
}

PRESETS_TEXT = """
#### Presets

`model.preset` names a set of the keys above; keys given beside it win. `tiny` and `small` train on two processor cores;
`base` and `big` are those of the paper (Vaswani et al. 2017, Table 3). Keys that are not shown keep their defaults.
"""

TRAINING_TEXT = """\
Where a recipe says nothing, translation and summarization from nothing follow the paper (Vaswani et al. 2017):
{usual}.

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
    """Every key of ``model``, those of the groups in it at their dotted paths; of the tree of specs, its root."""
    # What is required comes first; a job's own key follows those that its class inherits otherwise.
    for name, field in sorted(model.model_fields.items(), key=lambda item: not item[1].is_required()):
        path = f"{prefix}{name}"
        groups = [group for group in _groups(field.annotation) if group is not TransformerSpec]
        if not groups or type(None) in get_args(field.annotation) or _chosen(field.default):
            yield _key(path, field)
        for group in groups:
            yield from keys(group, f"{path}.")


def _chosen(default: Any) -> set[str]:
    """The keys of a group to which its default gives other values than the group would."""
    return default.model_fields_set if isinstance(default, Settings) else set()


def _key(path: str, field: FieldInfo) -> Key:
    return Key(path, _kind(field), _default(field), _meaning(field))


def _groups(annotation: Any) -> Iterator[type[Settings]]:
    """The groups of keys that a field may hold."""
    if inspect.isclass(annotation) and issubclass(annotation, Settings):
        yield annotation
    for member in get_args(annotation):
        yield from _groups(member)


def _tree(root: type[Settings]) -> dict[type[Settings], None]:
    """``root`` and all groups in it, from the top down, each once."""
    found, waiting = {root: None}, [root]
    for group in waiting:
        inner = [part for field in group.model_fields.values() for part in _groups(field.annotation)]
        waiting += [part for part in dict.fromkeys(inner) if part not in found]
        found.update(dict.fromkeys(inner))
    return found


TREE = _tree(TransformerSpec)


def page() -> str:
    """The page as Markdown."""
    found = list(keys(Recipe))
    parts = [INTRODUCTION]
    for section, title in SECTIONS.items():
        parts.append(f"\n## {title}\n\n")
        if section == "task":
            parts += _task_parts()
        elif section == "model":
            parts += _model_parts()
        else:
            if section == "training":
                usual = [f"`{key}: {_yaml(value)}`" for key, value in PAPER_TRAINING.items()]
                parts.append(textwrap.fill(TRAINING_TEXT.format(usual=", ".join(usual)), 120) + "\n\n")
            parts.append(_table(key for key in found if _section(key.path) == section))
    return "".join(parts)


def _task_parts() -> Iterator[str]:
    """The jobs, each with its keys."""
    yield TASK_TEXT
    for form, (title, text) in TASK_FORMS.items():
        yield f"\n### {title}\n\n{text}\n"
        yield _table(keys(form, "task."))


def _model_parts() -> Iterator[str]:
    """The forms of the model, each with its keys."""
    yield MODEL_TEXT
    for form, (title, text) in MODEL_FORMS.items():
        yield f"\n### {title}\n\n{text}\n"
        yield _table(keys(form, "model."))
        if form is SpecSource:
            for group in TREE:
                yield f"\n#### `{group.__name__}`\n\n{inspect.getdoc(group)}\n\n"
                yield _table(_key(name, field) for name, field in group.model_fields.items())
        if form is UniformSpec:
            yield f"{PRESETS_TEXT}\n{_presets_table()}"


def _section(path: str) -> str:
    return path.partition(".")[0] if "." in path else ""


def _table(rows: Iterator[Key]) -> str:
    lines = ["| key | meaning, type and default |", "|---|---|"]
    lines += [
        f"| `{key.path}` | {key.meaning}{'<br>' * bool(key.meaning)}*{key.kind}; {key.default}* |" for key in rows
    ]
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
    if origin is dict:
        return "keys with values"
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type_name(member) for member in arguments))
    if origin is Literal:
        return " or ".join(f"`{_yaml(member)}`" for member in arguments)
    if origin is tuple:
        name, *bounds = _type_name(arguments[0]).split(", ")
        kind, of, member = name.partition(" of ")
        count = "" if arguments[-1] is Ellipsis else f"{len(arguments)} "
        return ", ".join([f"list of {count}{kind}s{of}{member}", *bounds])
    if hasattr(annotation, "__metadata__"):
        return _kind(FieldInfo.from_annotation(annotation))
    return _class_name(annotation)


def _class_name(kind: type) -> str:
    if issubclass(kind, Enum):
        return " or ".join(f"`{member.value}`" for member in kind)
    if kind in TREE:
        return f"`{kind.__name__}`"
    return "the keys below" if issubclass(kind, Settings) else _NAMES[kind]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return f"default `{_yaml(field.get_default(call_default_factory=True, validated_data={}))}`"


def _yaml(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(_yaml(member) for member in value)}]"
    if isinstance(value, Settings):
        shown = _chosen(value) or set(type(value).model_fields)
        return f"{{{', '.join(f'{name}: {_yaml(part)}' for name, part in value if name in shown)}}}"
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
