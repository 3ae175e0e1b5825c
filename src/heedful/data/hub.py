"""Data sets of the Hugging Face Hub, through its client library alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

from heedful.errors import DataError


def download_split(name: str, split: str, endings: Sequence[str]) -> Path:
    """Download the files of one split, or find them in the cache.

    The library's variables hold (``HF_HUB_OFFLINE``, ``HF_HOME``, ``HF_TOKEN``, ...).

    Args:
        name: ``owner/name``.
        split: ``split`` or ``subset/split``; files with it in their paths are taken.
        endings: of the files to take.

    Returns:
        A folder that holds them, and maybe others.

    Raises:
        DataError: there is no such data set, no permission, no network or nothing in the cache.
    """
    word = split.rpartition("/")[2]
    patterns = [f"*{word}*.{ending}{compression}" for ending in endings for compression in ("", ".gz", ".zst")]
    try:
        return Path(snapshot_download(name, repo_type="dataset", allow_patterns=patterns))
    except GatedRepoError:
        fault = f"the data set {name} of the Hub is only for those who accepted its terms"
        remedy = f"Accept them on the page of {name}, then log in with `hf auth login`."
    except RepositoryNotFoundError:
        fault = f"there is no file or folder {name}, and no data set of that name on the Hub that you may see"
        remedy = "Check the name; for a private data set, log in with `hf auth login`."
    except Exception as error:  # the client's own errors, and those of the HTTP library beneath, which changes
        fault = f"the data set {name} of the Hub is not in the cache and cannot be downloaded: {error}"
        remedy = "Check the network and HF_HUB_OFFLINE, or download the files and name them."
    raise DataError(fault, remedy=remedy)
