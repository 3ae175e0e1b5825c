"""What a run with low-rank adapters leaves of them, beside the model that they are merged into."""

from __future__ import annotations

from heedful.checkpoint import Adapter
from heedful.families import FAMILIES
from heedful.families.adapters import adapter_to_upstream
from heedful.model import Transformer
from heedful.nn import lora_layers
from heedful.tasks import AnyTask


def adapter_of(task: AnyTask) -> Adapter:
    """The adapters in the model of a task, without its head.

    Their names are those of the family that the model comes from, or ours where it comes from none.

    Raises:
        CheckpointError: the family has no such map.
    """
    if task.origin is not None and isinstance(task.model, Transformer):
        return adapter_to_upstream(FAMILIES[task.origin["family"]], task.model)
    layers = lora_layers(task.network.get_submodule("model"))
    first = next(iter(layers.values()))
    return Adapter({name: (layer.down, layer.up) for name, layer in layers.items()}, first.rank, first.alpha)
