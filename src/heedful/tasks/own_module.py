"""Modules of a user's own: any ``nn.Module`` that reads texts, made by a factory in a Python file.

The file is code, so it runs for one reason only: the user named it, in a recipe or with ``allow_code``. What a
model folder says about a file is compared with that name, and never followed.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import torch
from pydantic import Field, JsonValue
from torch import Tensor, nn

from heedful.errors import CheckpointError, RequestError
from heedful.settings import Settings, nearest


class TextEncoder(Protocol):
    """What an ``nn.Module`` needs to stand where a Transformer stands."""

    @property
    def d_model(self) -> int:
        """D, the width of the states that ``encode`` gives."""
        ...

    def encode(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """Token ids (B, S) int64 and mask (B, S) bool, True at real tokens -> hidden states (B, S, D)."""
        ...


class ModuleSpec(Settings):
    """What ``config.json`` records of a module: enough to make it again, once the user allows its file."""

    file: str = Field(description="path of the Python file, as it was named in training")
    factory: str = Field(pattern=r"^[A-Za-z_]\w*$")
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of the file's bytes")


def make_module(
    file: str | Path, factory: str, arguments: dict[str, Any], vocabulary_size: int, *, seed: int | None = None
) -> tuple[TextEncoder, ModuleSpec]:
    """Run the file and call ``factory(vocabulary_size=…, **arguments)`` in it.

    Args:
        file: named by the user: its code is executed.
        seed: of the weights; the global random state is left as it was.

    Raises:
        RequestError: the file or the factory is not there, fails, or makes something that is no :class:`TextEncoder`.
    """
    code = _read(Path(file))
    digest = hashlib.sha256(code).hexdigest()
    make = _find(_run(Path(file), code, digest), factory, file)
    with torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.manual_seed(seed)
        try:
            made = make(vocabulary_size=vocabulary_size, **arguments)
        except Exception as error:
            raise RequestError(
                f"{factory} in {file} failed: {_told(error, file)}",
                remedy="It is called with vocabulary_size=… and what stands under model.arguments.",
            ) from error
    module = _tried(made, f"{factory} in {file}", vocabulary_size)
    return module, ModuleSpec(file=str(file), factory=factory, arguments=arguments, sha256=digest)


def remake_module(
    spec: ModuleSpec, vocabulary_size: int, *, allow_code: str | Path | None, folder: Path
) -> tuple[TextEncoder, ModuleSpec]:
    """Make the module that ``folder`` records, if the user allows its code.

    Args:
        allow_code: the Python file that the user allows to be executed.

    Raises:
        CheckpointError: no file is allowed, or another one.
        RequestError: as for :func:`make_module`.
    """
    name = Path(spec.file).name
    if allow_code is None or Path(allow_code).name != name:
        given = "" if allow_code is None else f", not of {allow_code}"
        raise CheckpointError(
            f"{folder} holds weights of {spec.factory} in {spec.file}{given}: code, which runs only if you allow it",
            remedy=f"If you trust that file, name your copy of it: --allow-code {spec.file}, in Python "
            f"allow_code={spec.file!r}.",
        )
    module, made = make_module(allow_code, spec.factory, spec.arguments, vocabulary_size)
    if made.sha256 != spec.sha256:
        warnings.warn(f"{allow_code} has changed since {folder} was saved", stacklevel=2)
    return module, made


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise RequestError(
            f"cannot read {file}: {error.strerror}", remedy="Name the Python file of your module."
        ) from error


def _run(file: Path, code: bytes, digest: str) -> ModuleType:
    """The very bytes that were read, executed as a module; the same bytes are executed once."""
    name = f"heedful_own_{file.stem}_{digest[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module  # where dataclasses and pickle look for it
    try:
        exec(compile(code, str(file), "exec"), module.__dict__)  # noqa: S102 - the user named this file
    except Exception as error:
        del sys.modules[name]
        raise RequestError(
            f"{file} cannot be run: {_told(error, file)}", remedy="Mend it, or install what it imports."
        ) from error
    return module


def _find(module: ModuleType, factory: str, file: str | Path) -> Any:
    """The factory, which must be written in the file itself: what the file imports is out of reach."""
    own = {
        name: value
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == module.__name__
    }
    if factory not in own:
        raise RequestError(f"{file} defines no function or class {factory!r}; {nearest(factory, own)}")
    return own[factory]


def _told(error: Exception, file: str | Path) -> str:
    """The error in one line, with the last line of ``file`` that led to it."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    if isinstance(error, SyntaxError):
        lines = [error.lineno]
    return f"{type(error).__name__}: {error}" + (f" (line {lines[-1]})" if lines else "")


@torch.no_grad()
def _tried(module: Any, name: str, vocabulary_size: int) -> TextEncoder:
    """``module``, which is refused if it is no TextEncoder: it is tried on two texts, of three and two tokens."""
    wanted = "A module has the attribute d_model, and encode(ids, mask) that returns states (texts, tokens, d_model)."
    if not isinstance(module, nn.Module):
        raise RequestError(f"{name} made {type(module).__name__}, which is no torch.nn.Module", remedy=wanted)
    width = getattr(module, "d_model", None)
    if not isinstance(width, int) or width < 1 or not callable(getattr(module, "encode", None)):
        lacking = "encode" if isinstance(width, int) and width > 0 else "whole number d_model"
        raise RequestError(f"{name} made {type(module).__name__}, which has no {lacking}", remedy=wanted)
    ids = torch.arange(6).view(2, 3) % vocabulary_size
    mask = torch.tensor([[True, True, True], [True, True, False]])
    training = module.training
    try:
        states: object = module.eval().encode(ids, mask)  # type: ignore[operator]
    except Exception as error:
        raise RequestError(
            f"encode of {name} failed on ids (2, 3) and mask (2, 3): {type(error).__name__}: {error}", remedy=wanted
        ) from error
    finally:
        module.train(training)
    if not isinstance(states, Tensor) or states.shape != (2, 3, width) or not states.is_floating_point():
        found = (
            f"{states.dtype} of shape {tuple(states.shape)}" if isinstance(states, Tensor) else type(states).__name__
        )
        raise RequestError(f"encode of {name} gave {found}, not numbers of shape (2, 3, {width})", remedy=wanted)
    return module  # type: ignore[return-value]  # it has been tried
