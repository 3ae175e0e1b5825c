"""Coverage-guided fuzzing of everything that reads a stranger's bytes: only our errors may come out.

``python tests/fuzz/fuzz_checkpoint.py TARGET [options of libFuzzer, such as -runs=100000 or -max_total_time=60]``,
where the target is one of ``TARGETS``, or ``all``: then the first byte chooses.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["heedful", "zipfile", "pickletools", "json"]):
    import torch

    from heedful.checkpoint import inside, open_weights, parse_json
    from heedful.errors import RequestError
    from heedful.model import parse_spec

FOLDER = Path(tempfile.mkdtemp())
MEMORY = 1 << 30
"""Bytes that reading a few kilobytes may take beyond what the imports took."""


def read_weights(content: bytes, name: str) -> None:
    for file in FOLDER.iterdir():
        file.unlink()
    (FOLDER / name).write_bytes(content)
    stored = open_weights(FOLDER, allow_pickle=True)
    read = [stored.tensor(tensor) for tensor in stored]
    assert sum(tensor.nbytes for tensor in read) <= len(content)


def safetensors(data: bytes) -> None:
    """The first byte says how much of the rest is the header; the length before it is always right."""
    header = data[1 : 1 + data[0]] if data else b""
    read_weights(len(header).to_bytes(8, "little") + header + data[1 + len(header) :], "model.safetensors")


def safetensors_whole(data: bytes) -> None:
    read_weights(data, "model.safetensors")


def index(data: bytes) -> None:
    read_weights(data, "model.safetensors.index.json")


def pickle_archive(data: bytes) -> None:
    read_weights(data, "pytorch_model.bin")


def pickle_program(data: bytes) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("a/data.pkl", data)
        archive.writestr("a/data/0", bytes(16))
        archive.writestr("a/version", b"3\n")
    read_weights(target.getvalue(), "pytorch_model.bin")


def config(data: bytes) -> None:
    parse_spec(parse_json(data, name="config.json"))


def reference(data: bytes) -> None:
    name = data.decode("utf-8", errors="surrogateescape")
    assert inside(FOLDER, name).resolve().is_relative_to(FOLDER.resolve())


def _saved() -> bytes:
    target = io.BytesIO()
    torch.save({"w": torch.arange(4.0)}, target)
    return target.getvalue()


def _program() -> bytes:
    with zipfile.ZipFile(io.BytesIO(_saved())) as archive:
        return archive.read("archive/data.pkl")


HEADER = b'{"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}'
LAYER = {"self_attention": {"num_heads": 2, "head_dim": 4}, "feed_forward": {"d_ff": 16}}
TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[], bytes]]] = {
    "safetensors": (safetensors, lambda: bytes([len(HEADER)]) + HEADER + bytes(24)),
    "safetensors_whole": (safetensors_whole, lambda: len(HEADER).to_bytes(8, "little") + HEADER + bytes(24)),
    "index": (index, lambda: b'{"metadata": {}, "weight_map": {"w": "model-00001-of-00002.safetensors"}}'),
    "pickle_archive": (pickle_archive, _saved),
    "pickle_program": (pickle_program, _program),
    "config": (
        config,
        lambda: json.dumps({"vocabulary_size": 9, "d_model": 8, "encoder": {"layers": [LAYER]}}).encode(),
    ),
    "reference": (reference, lambda: b"deep/model-00001-of-00002.safetensors"),
}
"""What is fuzzed, and an example to start from."""


def everything(data: bytes) -> None:
    """The target that the first byte chooses."""
    targets = [target for target, _ in TARGETS.values()]
    if data:
        targets[data[0] % len(targets)](data[1:])


def limit_memory() -> None:
    """Let an allocation beyond MEMORY fail, which is found like any other error that isn't ours.

    libFuzzer's own limit looks at the process's peak, which Linux hands down from the process that started this one.
    """
    taken = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData"))
    limit = int(taken.split()[1]) * 1024 + MEMORY
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def main() -> None:
    """Run the target that the command line names until libFuzzer's options say stop."""
    name, *options = sys.argv[1:]
    examples = {key: example() for key, (_, example) in TARGETS.items()}
    for key, example in examples.items():
        if key != "index":  # whose shards are not there
            TARGETS[key][0](example)
    corpus = Path(tempfile.mkdtemp())
    for number, (key, example) in enumerate(examples.items()):
        if name in (key, "all"):
            (corpus / key).write_bytes(bytes([number]) + example if name == "all" else example)
    target = everything if name == "all" else TARGETS[name][0]

    def only_our_errors(data: bytes) -> None:
        with suppress(RequestError):
            target(data)

    atheris.Setup(
        [
            sys.argv[0],
            "-max_len=4096",
            "-rss_limit_mb=0",
            f"-artifact_prefix={tempfile.gettempdir()}/",
            *options,
            str(corpus),
        ],
        only_our_errors,
    )
    limit_memory()
    atheris.Fuzz()


if __name__ == "__main__":
    main()
