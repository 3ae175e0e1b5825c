"""What can be seen of a checkpoint without running it; knows no family."""

from __future__ import annotations

from heedful.checkpoint.doctor.diagnosis import Diagnosis, Form
from heedful.checkpoint.doctor.files import ADAPTER_CONFIG, open_files, weight_files
from heedful.checkpoint.doctor.findings import Finding, Severity, error, note, warning
from heedful.checkpoint.doctor.health import value_findings
from heedful.checkpoint.doctor.misfit import left_findings, rename_findings, shape_findings, wrapper_finding
from heedful.checkpoint.doctor.names import RenamedWeights, Shape, listed, unwrap
from heedful.checkpoint.doctor.values import look_at

__all__ = [
    "ADAPTER_CONFIG",
    "Diagnosis",
    "Finding",
    "Form",
    "RenamedWeights",
    "Severity",
    "Shape",
    "error",
    "left_findings",
    "listed",
    "look_at",
    "note",
    "open_files",
    "rename_findings",
    "shape_findings",
    "unwrap",
    "value_findings",
    "warning",
    "weight_files",
    "wrapper_finding",
]
