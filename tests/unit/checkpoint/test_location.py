"""Models of the Hub, of which a server in this process stands in; names that could be mistaken are never asked for."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import save

from heedful.checkpoint import locate
from heedful.errors import CheckpointError

COMMIT, OLDER = "0123456789abcdef" * 2 + "01234567", "f" * 40
WEIGHTS = save({"w": torch.arange(50, dtype=torch.float32)})
LARGE = save({"w": torch.arange(3_200_000, dtype=torch.float32)})
"""More than the client reads at once."""
INDEX = "model.safetensors.index.json"
COMMON = {
    "config.json": b'{"model_type": "bert"}',
    "tokenizer.json": b"{}",
    "vocab.txt": b"a\n",
    "source.spm": b"s",
    "README.md": b"# model",
    "modeling_own.py": b"raise SystemExit",
    "flax_model.msgpack": b"flax",
    "model.fp16.safetensors": b"another form",
    "onnx/config.json": b"{}",
    "original/model.safetensors": b"{}",
}
MODELS: dict[str, dict[str, bytes]] = {
    "someone/plain": COMMON | {"model.safetensors": WEIGHTS, "pytorch_model.bin": b"a pickle"},
    "someone/pickled": COMMON | {"pytorch_model.bin": b"a pickle", "training_args.bin": b"another"},
    "someone/pickled-too": COMMON | {"pytorch_model.bin": b"a pickle", "training_args.bin": b"another"},
    "someone/sharded": COMMON
    | {
        INDEX: b'{"weight_map": {}}',
        "model-00001-of-00002.safetensors": WEIGHTS,
        "model-00002-of-00002.safetensors": WEIGHTS,
    },
    "someone/large": {"config.json": b"{}", "model.safetensors": LARGE},
    "someone/fragile": {"config.json": b"{}", "model.safetensors": b"fragile"},
    "someone/hostile": {"config.json": b"{}", "../../../evil.json": b"{}", "/evil.json": b"{}"},
}
TAKEN = {"config.json", "tokenizer.json", "vocab.txt", "source.spm", "README.md"}

LOCATE = """
import json, sys
{before}
from heedful.checkpoint import locate
from heedful.errors import CheckpointError
for source, options in json.loads(sys.argv[1]):
    try:
        found = locate(source, **options)
        files = sorted(str(path.relative_to(found.folder)) for path in found.folder.rglob("*") if path.is_file())
        print(json.dumps([found.revision, files, str(found.folder)]))
    except CheckpointError as error:
        print(json.dumps([error.message, str(error.remedy), ""]))
"""
NO_SOCKETS = """
import socket
class Blocked(socket.socket):
    def __init__(self, *arguments, **options):
        print("a socket was opened")
        raise OSError("no sockets here")
socket.socket = Blocked
"""


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the Hub's interface as downloading takes."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]] = []
    tokens: ClassVar[set[str]] = set()
    ranges: ClassVar[list[str]] = []
    cut_after: int | None = 11 * 2**20
    """Bytes of the large weights after which the connection breaks, once."""
    failing = False
    """Whether the fragile weights cannot be had."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        type(self).asked.append(path)
        type(self).tokens.add(self.headers.get("Authorization", ""))
        for name, files in MODELS.items():
            info = f"/api/models/{name}"
            if path in (info, f"{info}/revision/main", f"{info}/revision/v1"):
                commit = OLDER if path.endswith("v1") else COMMIT
                return self._answer(json.dumps({"id": name, "sha": commit, "siblings": []}).encode())
            if path.startswith(f"{info}/tree/"):
                listing = [
                    {"type": "file", "path": file, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                    for file, content in files.items()
                ]
                return self._answer(json.dumps(listing).encode())
            if path.startswith(f"{info}/revision/"):
                return self._answer(b"{}", 404, **{"X-Error-Code": "RevisionNotFound"})
            for commit in (COMMIT, OLDER):
                resolve = f"/{name}/resolve/{commit}/"
                if path.startswith(resolve) and path.removeprefix(resolve) in files:
                    return self._file(files[path.removeprefix(resolve)], commit)
        if "gated" in path:
            return self._answer(b"{}", 403, **{"X-Error-Code": "GatedRepo"})
        return self._answer(b"{}", 404, **{"X-Error-Code": "RepoNotFound"})

    def _file(self, content: bytes, commit: str) -> None:
        headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": commit}
        wanted = self.headers.get("Range")
        if content == b"fragile" and type(self).failing and self.command == "GET":
            return self._answer(b"{}", 404, **{"X-Error-Code": "EntryNotFound"})
        if wanted and self.command == "GET":
            type(self).ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            covered = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
            return self._answer(content[start:], 206, **headers, **covered)
        return self._answer(content, 200, **headers)

    def _answer(self, content: bytes, status: int = 200, /, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"X-Repo-Commit": COMMIT, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            cut = type(self).cut_after if content == LARGE else None
            if cut is not None:
                type(self).cut_after = None
                self.close_connection = True
            self.wfile.write(content[:cut])

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


Source = tuple[str, dict[str, Any]]

WANTED: list[tuple[Source, str, set[str]]] = [
    (("someone/plain", {}), COMMIT, TAKEN | {"model.safetensors"}),
    (("someone/plain", {"allow_pickle": True}), COMMIT, TAKEN | {"model.safetensors"}),
    (("someone/plain", {"revision": "v1"}), OLDER, TAKEN | {"model.safetensors"}),
    (("someone/plain", {"revision": COMMIT}), COMMIT, TAKEN | {"model.safetensors"}),
    (
        ("someone/sharded", {}),
        COMMIT,
        TAKEN | {name for name in MODELS["someone/sharded"] if name[:6] == "model-"} | {INDEX},
    ),
    (("someone/pickled", {}), COMMIT, TAKEN),
    (("someone/pickled-too", {"allow_pickle": True}), COMMIT, TAKEN | {"pytorch_model.bin"}),
    (("someone/large", {}), COMMIT, {"config.json", "model.safetensors"}),
]
"""What is asked for, and the revision and files that are found."""
REFUSED: list[tuple[Source, str]] = [
    (("someone/missing", {}), "there is no file or folder someone/missing, and no model of that name on the Hub"),
    (("someone/gated", {}), "only for those who accepted its terms"),
    (("someone/plain", {"revision": "v9"}), "the model someone/plain of the Hub has no revision 'v9'"),
    (("someone/fragile", {}), "the model someone/fragile of the Hub is not in the cache and cannot be downloaded"),
]
HOSTILE: Source = ("someone/hostile", {})
FRAGILE: Source = ("someone/fragile", {})


@dataclass(frozen=True)
class Visits:
    """What three processes found one after the other, with one cache."""

    cache: Path
    first: list[list[Any]]
    """All of WANTED and REFUSED, and HOSTILE."""
    offline: list[list[Any]]
    """All of WANTED and REFUSED, without sockets."""
    later: list[list[Any]]
    """FRAGILE, which can be had now."""
    asked_first: list[str]
    asked_offline: list[str]
    asked_later: list[str]


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visits]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cache = tmp_path_factory.mktemp("home") / "cache"
    cache.mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.lower().endswith("proxy") and key[:3] != "HF_"}
    address = f"http://127.0.0.1:{server.server_port}"
    environment = {**kept, "HF_ENDPOINT": address, "HF_HOME": str(cache), "HF_TOKEN": "hf_secret"}

    def find(sources: list[Source], before: str = "", **variables: str) -> tuple[list[list[Any]], list[str]]:
        """Locate models in a process of its own, for the client reads its variables at import."""
        Hub.asked.clear()
        command = [sys.executable, "-c", LOCATE.replace("{before}", before), json.dumps(sources)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env=environment | variables, cwd=cache.parent
        )
        return [json.loads(line) for line in done.stdout.splitlines()], list(Hub.asked)

    sources = [source for source, *_ in WANTED] + [source for source, _ in REFUSED]
    Hub.failing = True
    first, asked_first = find([*sources, HOSTILE])
    offline, asked_offline = find(sources, NO_SOCKETS, HF_HUB_OFFLINE="1")
    Hub.failing = False
    later, asked_later = find([FRAGILE])
    yield Visits(cache, first, offline, later, asked_first, asked_offline, asked_later)
    server.shutdown()


@pytest.mark.parametrize("number", range(len(WANTED)))
def test_only_plain_files_are_downloaded_and_the_revision_is_known(visits: Visits, number: int) -> None:
    _, revision, files = WANTED[number]
    found, names, folder = visits.first[number]
    assert (found, set(names)) == (revision, files)
    assert Path(folder).is_relative_to(visits.cache), "HF_HOME"


def test_the_token_is_sent(visits: Visits) -> None:
    assert "Bearer hf_secret" in Hub.tokens


def test_what_was_downloaded_is_found_without_a_network(visits: Visits) -> None:
    assert visits.asked_offline == []
    assert visits.offline[: len(WANTED)] == visits.first[: len(WANTED)]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_cannot_be_had_says_why(visits: Visits, number: int) -> None:
    (name, _), reason = REFUSED[number]
    fault, remedy, _ = visits.first[len(WANTED) + number]
    assert reason in fault
    assert remedy
    fault, remedy, _ = visits.offline[len(WANTED) + number]
    assert f"the model {name} of the Hub is not in the cache and cannot be downloaded" in fault
    assert "HF_HUB_OFFLINE" in remedy


def test_a_broken_connection_is_taken_up_where_it_stopped(visits: Visits) -> None:
    _, _, folder = visits.first[[source for source, *_ in WANTED].index(("someone/large", {}))]
    assert (Path(folder) / "model.safetensors").read_bytes() == LARGE
    assert Hub.cut_after is None, "it was broken"
    assert Hub.ranges == [f"bytes={10 * 2**20}-"]


def test_a_download_that_stopped_is_completed_later(visits: Visits) -> None:
    ((revision, files, _),) = visits.later
    assert (revision, files) == (COMMIT, ["config.json", "model.safetensors"])
    assert any(path.endswith("model.safetensors") for path in visits.asked_later)
    assert any(path.endswith("fragile/resolve/" + COMMIT + "/config.json") for path in visits.asked_first)
    assert not any(path.endswith("config.json") for path in visits.asked_later), "what was there is there"


def test_a_repository_cannot_write_outside_of_its_folder(visits: Visits) -> None:
    assert visits.first[-1][:2] == [COMMIT, ["config.json"]]
    assert not list(visits.cache.parent.rglob("*evil*"))
    assert not Path("/evil.json").exists()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("someone/pl\u0430in", "holds the character U+0430 ('\\u0430')"),
        ("some\u2044one/plain", "holds the character U+2044"),
        ("some\u200bone/plain", "holds the character U+200B"),
        ("someone/pla\u0131n", "holds the character U+0131"),
        ("\uff53omeone/plain", "holds the character U+FF53"),
        ("someone/pl%61in", "holds the character U+0025 ('%')"),
        ("someone/plain\0", "holds the character U+0000"),
        ("someone/plain\n", "holds the character U+000A"),
        ("someone\\plain/x", "holds the character U+005C"),
        ("someone/plain?x=1", "holds the character U+003F"),
        ("someone/plain#x", "holds the character U+0023"),
        ("someone/plain@main", "holds the character U+0040"),
        ("someone/pl ain", "holds the character U+0020"),
        ("someone/..", "holds '..'"),
        ("../plain", "there is no folder"),
        ("../../plain", "there is no folder"),
        ("/someone/plain", "there is no folder"),
        ("./plain", "there is no folder"),
        ("~/plain", "there is no folder"),
        ("https://example.org/someone/plain", "there is no folder"),
        ("plain", "there is no folder"),
        ("someone/", "there is no folder"),
        ("", "there is no folder"),
        ("a" * 5000, "there is no folder"),
        ("a\0", "there is no folder"),
    ],
)
def test_a_name_that_can_be_mistaken_is_never_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, reason: str
) -> None:
    def ask(*arguments: object, **options: object) -> str:
        pytest.fail("the Hub was asked")

    monkeypatch.setattr("heedful.hub.snapshot_download", ask)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        locate(source)
    assert reason in caught.value.message
    assert caught.value.message.isprintable()
    assert caught.value.remedy


@pytest.mark.parametrize("revision", ["../../refs", "m\u0430in", "main%00", "main\0", "a b", "v1?x"])
def test_a_revision_that_can_be_mistaken_is_never_asked_for(monkeypatch: pytest.MonkeyPatch, revision: str) -> None:
    monkeypatch.setattr("heedful.hub.snapshot_download", lambda *_, **__: pytest.fail("the Hub was asked"))
    with pytest.raises(CheckpointError, match="which no name on the Hub holds"):
        locate("someone/plain", revision=revision)


def test_a_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("m\u00f6delle/name")
    folder.mkdir(parents=True)
    for source in (folder, str(folder)):
        found = locate(source)
        assert (found.folder, found.revision) == (folder, None)
    with pytest.raises(CheckpointError, match="is a folder, and a revision"):
        locate(folder, revision="main")
    with pytest.raises(CheckpointError, match="there is no folder"):
        locate(Path("someone/plain"))
