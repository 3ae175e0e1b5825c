"""Models and data sets of the Hugging Face Hub, through its client library alone.

The library keeps what it downloads in its cache, takes up a broken connection where it stopped, does not download a
complete file again after an interruption, and honours ``HF_HOME``, ``HF_TOKEN``, ``HF_HUB_OFFLINE`` and
``HF_ENDPOINT``.
"""

from __future__ import annotations

import string
from collections.abc import Collection, Sequence
from enum import StrEnum
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from heedful.errors import RequestError

_NAME_CHARACTERS = frozenset(string.ascii_letters + string.digits + "-_.")
_REVISION_CHARACTERS = _NAME_CHARACTERS | {"/"}


class Kind(StrEnum):
    """What a repository of the Hub holds; the value is the library's word."""

    MODEL = "model"
    DATA_SET = "dataset"

    def __str__(self) -> str:
        return "data set" if self is Kind.DATA_SET else "model"


def download(
    name: str,
    kind: Kind,
    *,
    files: Sequence[str],
    ignored: Sequence[str] = (),
    revision: str | None = None,
    error: type[RequestError],
) -> Path:
    """Download files of a repository, or find them in the cache.

    Args:
        name: ``owner/name``.
        files: patterns of paths to take, with ``*`` for any characters, also ``/``.
        ignored: patterns of paths to leave out.
        revision: a branch, a tag or a commit; the main branch unless given.
        error: the class of our error tree to raise.

    Returns:
        The folder of one revision, whose name is the hash of the commit; it holds the files, and maybe others.

    Raises:
        error: the name or revision is impossible, there is no such repository, no permission, no network, or
            nothing in the cache.
    """
    _check_characters(name.replace("/", "", 1), name, _NAME_CHARACTERS, error)
    _check_characters(revision or "", revision or "", _REVISION_CHARACTERS, error)
    try:
        return Path(
            snapshot_download(
                name, repo_type=kind.value, revision=revision, allow_patterns=list(files), ignore_patterns=list(ignored)
            )
        )
    except GatedRepoError:
        fault = f"the {kind} {name} of the Hub is only for those who accepted its terms"
        remedy = f"Accept them on the page of {name}, then log in with `hf auth login`."
    except RevisionNotFoundError:
        fault = f"the {kind} {name} of the Hub has no revision {revision!a}"
        remedy = "Name one of its branches, tags or commits."
    except RepositoryNotFoundError:
        fault = f"there is no file or folder {name}, and no {kind} of that name on the Hub that you may see"
        remedy = f"Check the name; for a private {kind}, log in with `hf auth login`."
    except Exception as caught:  # the client's own errors, and those of the HTTP library beneath, which changes
        fault = f"the {kind} {name} of the Hub is not in the cache and cannot be downloaded: {caught}"
        remedy = "Check the network and HF_HUB_OFFLINE, or download the files and name their folder."
    raise error(fault, remedy=remedy)


def strange_character(text: str, allowed: Collection[str]) -> str | None:
    """The first character that is not ``allowed``, described so that it is harmless and tells look-alikes apart."""
    strange = next((character for character in text if character not in allowed), None)
    return None if strange is None else f"the character U+{ord(strange):04X} ({strange!a})"


def _check_characters(part: str, whole: str, allowed: Collection[str], error: type[RequestError]) -> None:
    strange = strange_character(part, allowed)
    fault = f"holds {strange}" if strange else "holds '..'" if ".." in part else None
    if fault:
        raise error(
            f"{whole!a:.200} {fault}, which no name on the Hub holds",
            remedy="Type the name by hand, such as owner/name: what looks alike may lead elsewhere.",
        )
