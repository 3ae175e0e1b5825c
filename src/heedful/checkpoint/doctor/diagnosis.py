"""What a checkpoint is, and what was found about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from heedful.checkpoint.doctor.findings import Finding, Severity


class Form(StrEnum):
    """Whose files a folder holds."""

    HEEDFUL = "heedful"
    HUGGINGFACE = "huggingface"
    ADAPTER = "adapter"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Diagnosis:
    """Everything that the doctor says of one checkpoint."""

    folder: str
    revision: str | None
    form: Form
    what: str
    """In one line."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """What it is made of, each in one line: name of the part -> description."""
    family: str | None = None
    parameters: int | None = None
    dtypes: Mapping[str, int] = field(default_factory=dict)
    """Name of the dtype -> number of values."""
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Of the stored tensors, by name."""
    labels: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether nothing was found but notes."""
        return all(finding.severity is Severity.NOTE for finding in self.findings)

    def to_json(self) -> str:
        """As a JSON document."""
        data: dict[str, Any] = {"healthy": self.healthy, **asdict(self)}
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
