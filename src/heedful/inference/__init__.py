"""How a network answers: which texts together, by how many workers, and on which numbers."""

from heedful.inference.batches import batches_of
from heedful.inference.calibration import Inputs, observing
from heedful.inference.openvino import OpenVino, cache_folder, is_installed
from heedful.inference.rounding import INT8_FILE, in_place, join, linear_maps, put, read_maps, rounded, write_maps
from heedful.inference.workers import Plan, Workers, merge

__all__ = [
    "INT8_FILE",
    "Inputs",
    "OpenVino",
    "Plan",
    "Workers",
    "batches_of",
    "cache_folder",
    "in_place",
    "is_installed",
    "join",
    "linear_maps",
    "merge",
    "observing",
    "put",
    "read_maps",
    "rounded",
    "write_maps",
]
