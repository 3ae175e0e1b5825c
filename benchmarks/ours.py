"""Our own ways of answering, each of which is a contestant."""

from __future__ import annotations

from typing import Any

OURS = "heedful float32"
WAYS: dict[str, tuple[str | None, str]] = {
    OURS: (None, "eager"),
    "heedful bfloat16": ("bfloat16", "eager"),
    "heedful int8": ("int8", "eager"),
    "heedful float32, OpenVINO": (None, "openvino"),
    "heedful int8, OpenVINO": ("int8", "openvino"),
    "heedful int8-weights, OpenVINO": ("int8-weights", "openvino"),
    "heedful float32, Inductor": (None, "inductor"),
    "heedful int8-weights, Inductor": ("int8-weights", "inductor"),
}
"""Numbers and engine of each."""


def loaded(run: str, way: str, threads: int) -> Any:
    """The task of a run, which answers in one of our ways; what an engine compiles is kept for the next process."""
    import torch  # noqa: PLC0415 - each contestant imports what it needs in a process of its own

    import heedful  # noqa: PLC0415

    torch.set_num_threads(threads)
    precision, engine = WAYS[way]
    task = heedful.load(run, precision=precision, engine=engine)
    assert engine == "eager" or task.engine is not None, task.notes
    return task
