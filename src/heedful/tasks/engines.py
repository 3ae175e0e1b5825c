"""Which engine computes a task's network: PyTorch itself, or a compiled form of the network."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import Any

import torch

from heedful.errors import NotInstalledError, RequestError, UnsupportedError
from heedful.inference import CompiledNetwork, Inductor, OpenVino, is_installed
from heedful.settings import nearest
from heedful.tasks.base import Engine, Task
from heedful.tasks.identity import identity
from heedful.tasks.speed import measure_speed, recall, remember, some_texts

EAGER, AUTO = "eager", "auto"
COMPILED: dict[str, type[CompiledNetwork]] = {engine.name: engine for engine in (OpenVino, Inductor)}
ENGINES = (EAGER, *COMPILED, AUTO)
TRIED = OpenVino
"""What ``auto`` compares with PyTorch; Inductor compiles for longer than a trial may take."""
SECONDS = 2.0
"""For which an engine is tried."""


def set_engine(task: Task[Any], name: str) -> None:
    """Have another engine compute a task's answers.

    Where a network cannot be compiled, or its compiled form gives other numbers, PyTorch goes on computing it, and a
    note of the task says why.

    Args:
        name: ``"eager"`` for PyTorch; ``"openvino"``; ``"inductor"``; or ``"auto"`` for whichever of the first two a
            short trial finds the faster one, which is remembered.

    Raises:
        RequestError: there is no such engine.
        UnsupportedError: what it takes is not installed, or the numbers of the task are none that it computes with.
    """
    if name not in ENGINES:
        raise RequestError(f"{name!r} is no engine; {nearest(name, ENGINES)}")
    if name == EAGER or (name == AUTO and not is_installed()):
        return
    if task.device.type != "cpu" or next(task.network.parameters()).dtype != torch.float32:
        raise UnsupportedError(
            f"the engine {name} computes in float32 on a processor",
            remedy="Leave dtype and device out, and precision unless it is int8 or int8-weights.",
        )
    fingerprint = f"{identity(task)} {json.dumps(task.config, sort_keys=True)}"
    trial = hashlib.sha256(f"{fingerprint} {torch.get_num_threads()}".encode()).hexdigest()
    known = recall(trial) if name == AUTO else None
    if known == EAGER:
        return
    try:
        make = TRIED if name == AUTO else COMPILED[name]
        engine = task.compiled(partial(make, fingerprint=fingerprint if task.module is None else None))
    except NotInstalledError:
        raise
    except UnsupportedError as error:
        task.notes += (f"PyTorch computes the network: {error}",)
        return
    if name == AUTO and known is None:
        known = _faster(task, engine)
        remember(trial, known)
    task.engine = None if known == EAGER else engine


def _faster(task: Task[Any], engine: Engine) -> str:
    """The engine with the shorter time, one text's and many texts' being worth the same."""
    texts = some_texts()
    cost, engines = {}, {EAGER: None, engine.name: engine}
    for name, one in engines.items():
        task.engine = one
        speed = measure_speed(task, texts, seconds=SECONDS)
        cost[name] = speed.latency / speed.texts_per_second
    return min(cost, key=lambda name: cost[name])
