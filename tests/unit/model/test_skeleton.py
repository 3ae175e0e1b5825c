"""Skeletons have the names and shapes of the models that they stand for, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import torch
from torch import nn

from heedful.model import build, parse_spec
from heedful.model.skeleton import skeleton

LAYER = {"self_attention": {"num_heads": 2, "head_dim": 4}, "feed_forward": {"d_ff": 16}}
SPEC = parse_spec({"vocabulary_size": 20, "d_model": 8, "encoder": {"layers": [LAYER, LAYER], "norm": {}}})


def test_names_and_shapes_are_those_of_the_model() -> None:
    with skeleton():
        state = build(SPEC).state_dict()
    wanted = build(SPEC).state_dict()
    assert all(tensor.is_meta for tensor in state.values())
    assert {name: tensor.shape for name, tensor in state.items()} == {
        name: tensor.shape for name, tensor in wanted.items()
    }


def test_what_is_built_afterwards_is_random_again() -> None:
    with skeleton():
        nn.Linear(4, 4)
    for module in (nn.Linear(64, 64), nn.Embedding(64, 64)):
        assert module.weight.device.type == "cpu"
        assert float(module.weight.std()) > 0.01
    assert float(torch.empty(1000).normal_().std()) > 0.5


def test_the_compiler_of_pytorch_is_not_imported() -> None:
    """It takes longer than to load a small model."""
    program = (
        "import sys, json\n"
        "from heedful.model import build, parse_spec\n"
        "from heedful.model.skeleton import skeleton\n"
        "with skeleton():\n"
        "    build(parse_spec(json.loads(sys.argv[1])))\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program, SPEC.model_dump_json()], check=False).returncode == 0
