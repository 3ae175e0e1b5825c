"""The documentation says what is true: links lead somewhere, and what is shown exists."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from tools import recipe_reference, speed_table
from tools.mkdocs_math import on_page_content

import heedful
from heedful.cli.main import app
from heedful.tasks import SpecSource
from heedful.training import Recipe, parse_overrides, read_recipe

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
VERBS: dict[str, Any] = vars(typer.main.get_command(app))["commands"]
KEYS = {key.path for key in recipe_reference.keys(Recipe)} | {"model.preset"}
OPEN = ("model.spec.", "model.arguments.")
"""Below these, the keys are those of a tree, and those that a factory takes."""
SECTIONS = {"task", "data", "tokenizer", "model", "training"}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands(page: Path) -> Iterator[list[str]]:
    """The arguments of every ``heedful …`` that a page tells its reader to type."""
    for block in blocks(page, "console"):
        for line in re.findall(r"^\$ (.*)", block, re.MULTILINE):
            for part in re.findall(r"(?:^|\| )heedful ([^|>]*)", line):
                yield shlex.split(part)


def options_of(verb: str) -> list[str]:
    """The options of a verb, short ones too."""
    names = [name for parameter in VERBS[verb].params for name in parameter.opts if name.startswith("-")]
    assert "--json" in names
    return names


def anchors(page: Path) -> set[str]:
    """What a link can lead to within a page."""
    titles = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def dotted(tree: object, prefix: str = "") -> Iterator[str]:
    """The dotted paths of the values in nested mappings."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from dotted(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix


def test_the_recipe_reference_is_what_the_program_writes() -> None:
    assert recipe_reference.PAGE.read_text(encoding="utf-8") == recipe_reference.page(), (
        "run python tools/recipe_reference.py"
    )


def test_every_key_of_a_recipe_says_what_it_means() -> None:
    found = list(recipe_reference.keys(Recipe))
    assert len(found) > 40
    assert [key.path for key in found if not key.meaning] == []
    assert {key.path.partition(".")[0] for key in found if "." in key.path} == SECTIONS


@each_page
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{target} leads nowhere"
        assert not anchor or anchor in anchors(linked), f"{target}: there is no such heading"


SHOWN = sorted({shlex.join(arguments) for page in PAGES for arguments in commands(page)})


@pytest.mark.parametrize("command", SHOWN)
def test_commands_that_are_shown_exist(command: str) -> None:
    verb, *rest = shlex.split(command)
    assert verb in VERBS
    assert {argument for argument in rest if argument.startswith("-") and argument != "-"} <= set(options_of(verb))
    if verb == "train":
        given = set(parse_overrides([argument for argument in rest[1:] if "=" in argument]))
        assert {key for key in given if not key.startswith(OPEN)} <= KEYS


def test_the_commands_of_the_readme_are_among_them() -> None:
    assert len(list(commands(ROOT / "README.md"))) >= 4


@each_page
def test_keys_of_recipes_that_are_shown_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    told = re.findall(r"`([a-z]\w*(?:\.\w+)+)[=:`]", text)
    shown = [key for key in told if key.partition(".")[0] in SECTIONS and re.search(rf"`{key}[=:]", text)]
    for block in blocks(page, "yaml"):
        shown += dotted(yaml.safe_load(block))
    assert {key for key in shown if not key.startswith(OPEN)} <= KEYS


def test_the_tree_that_the_recipe_reference_shows_is_a_model() -> None:
    (section,) = [yaml.safe_load(block)["model"] for block in blocks(recipe_reference.PAGE, "yaml")]
    recipe = read_recipe("helpdesk", {"model": None, **{f"model.{key}": value for key, value in section.items()}})
    assert isinstance(recipe.model, SpecSource)


@pytest.mark.parametrize("folder", ["tutorials", "zh"])
@pytest.mark.parametrize(("name", "output"), [("classifier", "runs/intents"), ("translator", "runs/english-german")])
def test_the_recipe_of_the_tutorial_is_one(folder: str, name: str, output: str) -> None:
    (block,) = blocks(ROOT / "docs" / folder / f"first-{name}.md", "yaml")
    assert str(read_recipe(yaml.safe_load(block)).output) == output


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_the_reference_of_the_command_line_has_every_option(verb: str) -> None:
    page = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## heedful {verb}\n")[2].partition("\n## ")[0]
    assert section
    for option in options_of(verb):
        assert f"`{option}" in section, f"heedful {verb} {option} is not in the reference"


def resolve(name: str) -> Any:
    """The object behind a dotted name of the Python reference."""
    parts = name.split(".")
    found: Any = heedful
    for depth, part in enumerate(parts[1:], 2):
        try:
            found = getattr(found, part)
        except AttributeError:
            found = importlib.import_module(".".join(parts[:depth]))
    return found


def signatures() -> list[tuple[str, str]]:
    """(dotted name, parameters and result) of what the Python reference lists."""
    return [
        (name, rest)
        for block in blocks(ROOT / "docs/reference/python.md", "python")
        for name, rest in re.findall(r"^(heedful[\w.]+)(\(.*)", block, re.DOTALL)
    ]


@pytest.mark.parametrize(("name", "rest"), signatures(), ids=[name for name, _ in signatures()])
def test_signatures_of_the_python_reference_are_true(name: str, rest: str) -> None:
    tree = ast.parse(f"def function{rest.strip()}: ...").body[0]
    assert isinstance(tree, ast.FunctionDef)
    told = tree.args
    true = inspect.signature(resolve(name)).parameters.values()
    kinds = {kind: [p.name for p in true if p.kind is kind] for kind in inspect._ParameterKind}
    assert [argument.arg for argument in told.args] == kinds[inspect._ParameterKind.POSITIONAL_OR_KEYWORD]
    assert [argument.arg for argument in told.kwonlyargs] == kinds[inspect._ParameterKind.KEYWORD_ONLY]
    assert ([told.kwarg.arg] if told.kwarg else []) == kinds[inspect._ParameterKind.VAR_KEYWORD]
    optional = sum(p.default is not p.empty for p in true)
    assert len(told.defaults) + sum(default is not None for default in told.kw_defaults) == optional


def test_the_python_reference_names_all_that_is_public() -> None:
    page = (ROOT / "docs/reference/python.md").read_text(encoding="utf-8")
    assert [name for name in heedful.__all__ if name not in page] == []


@each_page
def test_python_that_is_shown_is_python(page: Path) -> None:
    for block in map(textwrap.dedent, blocks(page, "python")):
        if block.startswith("heedful."):
            continue  # a signature, checked above
        for node in ast.walk(ast.parse(block)):
            match node:
                case ast.ImportFrom(module=str(module), names=names) if module.startswith("heedful"):
                    for name in names:
                        assert hasattr(importlib.import_module(module), name.name), f"{module}.{name.name}"
                case ast.Attribute(value=ast.Name(id="heedful"), attr=name):
                    assert name in heedful.__all__, f"heedful.{name}"


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("README.md", "README.zh-CN.md"),
        ("docs/tutorials/first-classifier.md", "docs/zh/first-classifier.md"),
        ("docs/tutorials/first-translator.md", "docs/zh/first-translator.md"),
        ("docs/tutorials/your-own-model.md", "docs/zh/your-own-model.md"),
    ],
)
def test_chinese_pages_are_in_step(english: str, chinese: str) -> None:
    found = []
    for name in (english, chinese):
        text = (ROOT / name).read_text(encoding="utf-8")
        code = [re.sub(r" +# .*", "", block) for block in re.findall(r"^```.*?^```", text, re.DOTALL | re.MULTILINE)]
        prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
        found.append((re.findall(r"^#+", prose, re.MULTILINE), code))
    assert found[0] == found[1]
    assert len(found[0][1]) >= 4


def test_the_speeds_of_the_readmes_are_those_of_the_latest_reports() -> None:
    for name, words in speed_table.WORDS.items():
        assert speed_table.section(words) in (ROOT / name).read_text(encoding="utf-8"), "run tools/speed_table.py"


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    files = [path.name for path in folder.glob("[0-9]*.md")]
    assert files
    assert [name for name in files if f"({name})" not in index] == []


def test_formulas_become_mathml() -> None:
    inline = on_page_content(r'<p><span class="arithmatex">\(a &lt; b\)</span></p>')
    assert inline.startswith("<p><math ")
    assert "arithmatex" not in inline
    assert 'display="block"' in on_page_content('<div class="arithmatex">\\[\n\\sqrt{K}\n\\]</div>')
