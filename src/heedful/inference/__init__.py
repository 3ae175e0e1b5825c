"""How a network is made ready to answer: numeric precision, and what is computed together."""

from heedful.inference.calibration import Inputs, observing
from heedful.inference.rounding import INT8_FILE, join, linear_maps, put, read_maps, rounded, write_maps

__all__ = ["INT8_FILE", "Inputs", "join", "linear_maps", "observing", "put", "read_maps", "rounded", "write_maps"]
