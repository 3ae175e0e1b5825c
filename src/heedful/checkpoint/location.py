"""Where a model is: a folder, or a repository of the Hugging Face Hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from heedful.checkpoint.stored import INDEX_ENDING, PICKLE_FILE, WEIGHTS_FILE
from heedful.errors import CheckpointError
from heedful.files import is_folder
from heedful.hub import Kind, download

_PLAIN_FILES = (
    "*.json",
    "*.jinja",
    "*.txt",
    "*.model",
    "*.spm",
    "README.md",
    WEIGHTS_FILE,
    "model-*-of-*.safetensors",
    "adapter_model.safetensors",
)
"""Configurations, tokenizers and weights; nothing that could run."""
_PICKLES = (PICKLE_FILE, "pytorch_model-*-of-*.bin")
_FOLDERS = ("*/*",)


@dataclass(frozen=True)
class Located:
    """A folder with a model's files."""

    folder: Path
    revision: str | None
    """Hash of the Hub's commit that was taken; None for a folder of the user's own."""


def locate(source: str | Path, *, revision: str | None = None, allow_pickle: bool = False) -> Located:
    """Find a model's folder, downloading it where it is on the Hub and not yet in the cache.

    See :mod:`heedful.hub` for interrupted downloads and the variables that hold.

    Args:
        source: a folder, or ``owner/name`` of the Hub; a folder comes first.
        revision: branch, tag or commit of the Hub.
        allow_pickle: download ``pytorch_model.bin`` too, where there are no safetensors.

    Raises:
        CheckpointError: there is neither, a name holds characters that none on the Hub has, or it cannot be
            downloaded.
    """
    if is_folder(source):
        if revision is not None:
            raise CheckpointError(
                f"{source} is a folder, and a revision ({revision!a}) is of the Hub",
                remedy="Leave the revision out.",
            )
        return Located(Path(source), None)
    owner, _, name = str(source).partition("/")
    if isinstance(source, Path) or not name or owner in ("", ".", "..", "~") or "/" in name:
        raise CheckpointError(
            f"there is no folder {str(source)!a:.200}",
            remedy="Give the folder of a model, such as runs/banking77, or a model of the Hub as owner/name.",
        )
    folder = download(
        str(source), Kind.MODEL, files=_PLAIN_FILES, ignored=_FOLDERS, revision=revision, error=CheckpointError
    )
    if allow_pickle and not any((folder / name).is_file() for name in (WEIGHTS_FILE, WEIGHTS_FILE + INDEX_ENDING)):
        folder = download(
            str(source),
            Kind.MODEL,
            files=(*_PLAIN_FILES, *_PICKLES),
            ignored=_FOLDERS,
            revision=folder.name,
            error=CheckpointError,
        )
    return Located(folder, folder.name)
