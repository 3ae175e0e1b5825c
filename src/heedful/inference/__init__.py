"""How a network answers: which texts together, by how many workers, and on which numbers."""

from heedful.inference.batches import batches_of
from heedful.inference.cache import cache_folder
from heedful.inference.calibration import Inputs, observing
from heedful.inference.engine import Compile, CompiledNetwork
from heedful.inference.inductor import Inductor
from heedful.inference.openvino import OpenVino, is_installed
from heedful.inference.rounding import INT8_FILE, in_place, join, linear_maps, put, read_maps, rounded, write_maps
from heedful.inference.workers import Plan, Workers, merge

__all__ = [
    "INT8_FILE",
    "Compile",
    "CompiledNetwork",
    "Inductor",
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
