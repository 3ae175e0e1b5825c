"""Reading, strict matching and writing of model folders; knows no family and no task."""

from __future__ import annotations

from heedful.checkpoint.adapter import Adapter, merge_adapter, write_adapter
from heedful.checkpoint.atomic import replace_files, write_text, writing
from heedful.checkpoint.folder import (
    CONFIG_FILE,
    TASK_FILE,
    read_config,
    read_model,
    read_network,
    read_spec,
    save_folder,
    write_config,
)
from heedful.checkpoint.location import Located, locate
from heedful.checkpoint.stored import StoredWeights, TensorInfo, open_weights
from heedful.checkpoint.weights import assign_weights, distinct_tensors, write_weights
from heedful.files import inside, parse_json, read_json

__all__ = [
    "CONFIG_FILE",
    "TASK_FILE",
    "Adapter",
    "Located",
    "StoredWeights",
    "TensorInfo",
    "assign_weights",
    "distinct_tensors",
    "inside",
    "locate",
    "merge_adapter",
    "open_weights",
    "parse_json",
    "read_config",
    "read_json",
    "read_model",
    "read_network",
    "read_spec",
    "replace_files",
    "save_folder",
    "write_adapter",
    "write_config",
    "write_text",
    "write_weights",
    "writing",
]
