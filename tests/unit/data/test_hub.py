"""Data sets of the Hub, of which a server in this process stands in."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "data/train-00000-of-00002.jsonl": b'{"text": "one", "label": "a"}\n',
    "data/train-00001-of-00002.jsonl": b'{"text": "two", "label": "b"}\n',
    "data/test-00000-of-00001.jsonl": b'{"text": "three", "label": "a"}\n',
    "README.md": b"# data",
}
READ = """
import sys
from heedful.data import read_rows
from heedful.errors import DataError
for name in sys.argv[1:]:
    try:
        print(" ".join(row.values["text"] for row in read_rows(name)))
    except DataError as error:
        print("DataError:", error.message)
"""


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the Hub's interface as downloading takes."""

    asked: list[str]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        type(self).asked.append(path)
        info, resolve = "/api/datasets/someone/mood", f"/datasets/someone/mood/resolve/{COMMIT}/"
        if path.startswith(info + "/tree/"):
            listing = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in FILES.items()
            ]
            self._answer(json.dumps(listing).encode())
        elif path.startswith(info):
            siblings = [{"rfilename": name} for name in FILES]
            self._answer(json.dumps({"id": "someone/mood", "sha": COMMIT, "siblings": siblings}).encode())
        elif path.startswith(resolve) and path.removeprefix(resolve) in FILES:
            content = FILES[path.removeprefix(resolve)]
            self._answer(content, ETag=f'"{hashlib.sha1(content).hexdigest()}"')
        elif "gated" in path:
            self._answer(b"{}", status=403, **{"X-Error-Code": "GatedRepo"})
        else:
            self._answer(b"{}", status=404, **{"X-Error-Code": "RepoNotFound"})

    def _answer(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"X-Repo-Commit": COMMIT, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def read(names: list[str], endpoint: str, cache: Path, **variables: str) -> list[str]:
    """Read data sets in a process of its own, for the client reads its variables at import."""
    kept = {key: value for key, value in os.environ.items() if not key.lower().endswith("proxy") and key[:3] != "HF_"}
    environment = {**kept, "HF_ENDPOINT": endpoint, "HF_HOME": str(cache), **variables}
    command = [sys.executable, "-c", READ, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout.splitlines()


def test_a_split_is_downloaded_once_and_read_offline_later(hub: str, tmp_path: Path) -> None:
    names = ["someone/mood:train", "someone/mood:validation", "someone/else:train", "someone/gated:train"]
    train, validation, unknown, gated = read(names, hub, tmp_path)
    assert train == "one two"
    assert not any("test-00000" in path or "README" in path for path in Hub.asked), "only what was asked for"
    assert "has no split 'validation'" in validation
    assert "no data set of that name on the Hub" in unknown
    assert "only for those who accepted its terms" in gated
    asked = len(Hub.asked)
    train, absent = read(["someone/mood:train", "another/set:train"], hub, tmp_path, HF_HUB_OFFLINE="1")
    assert train == "one two"
    assert "is not in the cache and cannot be downloaded" in absent
    assert len(Hub.asked) == asked
