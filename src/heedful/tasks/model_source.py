"""Where the model of a run comes from: the four forms of a recipe's ``model`` section."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, JsonValue, field_validator

from heedful.checkpoint import TASK_FILE, Located, locate
from heedful.errors import UnsupportedError
from heedful.families import Pretrained, read_pretrained
from heedful.model import TransformerSpec, UniformSpec
from heedful.settings import Place, Settings

OWN_MODULE = re.compile(r".+\.py:[A-Za-z_]\w*")
"""How a module of the user's own is named."""


class CheckpointSource(Settings):
    """A model that somebody has trained already, with its tokenizer."""

    checkpoint: Place = Field(min_length=1, description="model folder, or Hub id `owner/name`")
    revision: str | None = Field(None, description="of a Hub id: branch, tag or commit; the run records the commit")
    adapter: Place | None = Field(
        None, description="folder of a LoRA adapter in PEFT's format that is merged onto a foreign checkpoint first"
    )
    allow_pickle: bool = Field(
        False, description="read pickled weights too, numbers only; they are refused unless this is set"
    )


class SpecSource(Settings):
    """An architecture written out as a tree, with fresh weights."""

    spec: TransformerSpec = Field(description="the whole model")


class ModuleSource(Settings):
    """A module of the user's own, with the weights that its factory gives it."""

    module: str = Field(
        description="`path.py:factory`: a Python file, and the function or class in it that makes the module"
    )
    arguments: dict[str, JsonValue] = Field(default_factory=dict, description="keyword arguments of the factory")

    @field_validator("module")
    @classmethod
    def _has_both_parts(cls, value: str) -> str:
        if not OWN_MODULE.fullmatch(value):
            raise ValueError(f"should be path.py:factory, a file and a name in it, not {value!r}")
        return value

    @property
    def file(self) -> str:
        """The path of the Python file."""
        return self.module.rpartition(":")[0]

    @property
    def factory(self) -> str:
        """The name of the function or class."""
        return self.module.rpartition(":")[2]


FORMS: Mapping[str, type[Settings]] = {"checkpoint": CheckpointSource, "spec": SpecSource, "module": ModuleSource}
"""By the key that tells the form; without any of them, a section describes layers that are all alike."""


def form_of(section: object) -> type[Settings]:
    """The form of a ``model`` section as it stands in a recipe."""
    keys = section.keys() if isinstance(section, Mapping) else ()
    return next((form for key, form in FORMS.items() if key in keys), UniformSpec)


def _parse(section: Any) -> Any:
    # Chosen here, a form's faults are at the places where the user wrote them, and no other form's are told.
    return section if isinstance(section, Settings) else form_of(section).model_validate(section)


ModelSource = Annotated[UniformSpec | CheckpointSource | SpecSource | ModuleSource, BeforeValidator(_parse)]
"""The ``model`` section of a recipe."""


def open_checkpoint(source: CheckpointSource) -> Located | Pretrained:
    """The folder of a run of ours, or a foreign checkpoint that has been understood.

    Raises:
        CheckpointError: there is neither, or its files do not fit each other.
        UnsupportedError: an adapter is to be merged onto a run of ours.
    """
    located = locate(source.checkpoint, revision=source.revision, allow_pickle=source.allow_pickle)
    if not (located.folder / TASK_FILE).is_file():
        return read_pretrained(located, allow_pickle=source.allow_pickle, adapter=source.adapter)
    if source.adapter is not None:
        raise UnsupportedError(f"{located.folder} is a run of ours; model.adapter needs a foreign checkpoint")
    return located
