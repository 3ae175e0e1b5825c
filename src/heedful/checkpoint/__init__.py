"""Reading, strict matching and writing of model folders; knows no family and no task."""

from __future__ import annotations

from heedful.checkpoint.atomic import replace_files, write_text, writing
from heedful.checkpoint.folder import TASK_FILE, load_model, read_json, read_network, read_spec, save_folder
from heedful.checkpoint.weights import assign_weights, read_weights, save_weights

__all__ = [
    "TASK_FILE",
    "assign_weights",
    "load_model",
    "read_json",
    "read_network",
    "read_spec",
    "read_weights",
    "replace_files",
    "save_folder",
    "save_weights",
    "write_text",
    "writing",
]
