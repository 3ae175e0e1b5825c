"""The base of everything a user can configure: frozen, closed, and every fault reported at once."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from heedful.errors import RequestError

S = TypeVar("S", bound="Settings")

Place = Annotated[str, BeforeValidator(lambda value: os.fspath(value) if isinstance(value, os.PathLike) else value)]
"""A path or the name of a source; Python's ``Path`` is welcome too."""


class Settings(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


def parse(kind: type[S], data: object, *, name: str, error: type[RequestError]) -> S:
    """Read ``data`` as ``kind``.

    Args:
        name: what the data are called in the message, such as the path of a recipe.
        error: the class of our error tree to raise.

    Raises:
        error: with one line for each fault: where it is, what is wrong, and for a misspelt key the nearest one.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as caught:
        faults = [_fault(kind, data, dict(detail)) for detail in caught.errors(include_url=False)]
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise error(f"{name} has {count}:\n" + "\n".join(f"  {fault}" for fault in faults)) from None


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt ``word``: the nearest of ``known``, or the list of them."""
    options = sorted(known)
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    shown = ", ".join(options[:30]) + (", …" if len(options) > 30 else "")
    return f"known: {shown}"


def _fault(kind: type[BaseModel], data: object, detail: Mapping[str, Any]) -> str:
    location = tuple(detail["loc"])
    where = ".".join(str(part) for part in location) or "the whole"
    if detail["type"] == "extra_forbidden":
        if location[-1] in _keys_at(kind, location[:-1]):  # of another member of a union
            return f"{where}: does not go with the other keys beside it"
        return f"{where}: unknown key; {nearest(str(location[-1]), _keys_at(kind, location[:-1], data))}"
    if detail["type"] == "model_type":
        return f"{where}: should hold keys with values (got {detail['input']!r:.80})"
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "missing":
        return f"{where}: required, but not given"
    if detail["type"] == "value_error" or isinstance(detail["input"], dict | list):
        return f"{where}: {message}"
    return f"{where}: {message} (got {detail['input']!r:.80})"


def _keys_at(kind: type[BaseModel], location: tuple[object, ...], data: object = None) -> set[str]:
    """The keys that the model at ``location`` accepts; for a union, those of the members that ``location`` names.

    With ``data``, only of the members that these can be meant for.
    """
    kinds: list[type[BaseModel]] = [kind]
    for part in location:
        data = data.get(part) if isinstance(data, Mapping) else None
        inner = [
            member
            for model in kinds
            if isinstance(part, str) and part in model.model_fields
            for member in _models_in(model.model_fields[part].annotation)
        ]
        kinds = [member for member in inner if _may_be(member, data)] or inner or kinds
    return {name for model in kinds for name in model.model_fields}


def _may_be(kind: type[BaseModel], data: object) -> bool:
    """Whether no value in ``data`` speaks against ``kind``, such as the job of another one."""
    return not isinstance(data, Mapping) or all(
        data[name] in get_args(field.annotation)
        for name, field in kind.model_fields.items()
        if name in data and get_origin(field.annotation) is Literal
    )


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for member in get_args(annotation) for model in _models_in(member)]
