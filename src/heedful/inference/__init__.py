"""How a network answers: which texts together, by how many workers, and on which numbers."""

from heedful.inference.batches import batches_of
from heedful.inference.calibration import Inputs, observing
from heedful.inference.rounding import INT8_FILE, join, linear_maps, put, read_maps, rounded, write_maps
from heedful.inference.workers import Workers

__all__ = [
    "INT8_FILE",
    "Inputs",
    "Workers",
    "batches_of",
    "join",
    "linear_maps",
    "observing",
    "put",
    "read_maps",
    "rounded",
    "write_maps",
]
