"""`heedful --help` and `import heedful` come at once: they import nothing that is heavy."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "huggingface_hub",
    "matplotlib",
    "numpy",
    "pyarrow",
    "pydantic",
    "rich",
    "safetensors",
    "tokenizers",
    "torch",
    "yaml",
}
CALL = "from heedful.cli.main import main\nsys.argv[1:] = {arguments}\ntry:\n    main()\nexcept SystemExit:\n    pass"


def packages_after(code: str) -> set[str]:
    """Top-level packages that a fresh Python has imported after ``code``."""
    report = "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys\n{code}\n{report}"], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import heedful",
        "import heedful; dir(heedful)",
        "import heedful.errors",
        CALL.format(arguments=["--help"]),
        CALL.format(arguments=["--version"]),
    ],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    packages = packages_after(code)
    assert "heedful" in packages
    assert packages & HEAVY == set()


@pytest.mark.parametrize("arguments", [["train", "--help"], ["predict"], ["nosuch"]], ids=" ".join)
def test_help_of_a_verb_imports_no_more_than_its_reader(arguments: list[str]) -> None:
    packages = packages_after(CALL.format(arguments=arguments))
    assert "heedful" in packages
    assert packages & HEAVY <= {"pydantic"}  # typer reads the values of options with it


def test_public_names_load_on_use() -> None:
    assert packages_after("import heedful; heedful.load") >= {"torch", "tokenizers"}
