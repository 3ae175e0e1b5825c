"""A stack runs its layers in the order it is given, each with its own window and positions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from heedful.model import (
    EmbeddingSpec,
    FeedForwardSpec,
    LayerSpec,
    LearnedSpec,
    RotarySpec,
    SelfAttentionSpec,
    StackSpec,
    Transformer,
    TransformerSpec,
    build,
)

LAYERS = (
    LayerSpec(
        self_attention=SelfAttentionSpec(num_heads=2, head_dim=4, window=2, rotary=RotarySpec(base=7.0)),
        feed_forward=FeedForwardSpec(d_ff=9),
    ),
    LayerSpec(self_attention=SelfAttentionSpec(num_heads=4, head_dim=2), feed_forward=FeedForwardSpec(d_ff=5)),
)
ORDERS = [(0, 1), (1, 0), (0, 0, 1), (1, 0, 1, 1)]
IDS = torch.tensor([[1, 2, 3, 4, 5], [6, 7, 8, 0, 0]])
MASK = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])


def model(layers: tuple[LayerSpec, ...], order: tuple[int, ...] | None, *, causal: bool) -> Transformer:
    embeddings = EmbeddingSpec(positions=LearnedSpec(max_positions=5))
    stack = StackSpec(embeddings=embeddings, layers=layers, order=order)
    side = {"decoder" if causal else "encoder": stack}
    return build(TransformerSpec(vocabulary_size=9, d_model=8, **side), seed=0).double().eval()


def run(transformer: Transformer) -> Tensor:
    with torch.no_grad():
        return transformer.encode(IDS, MASK) if transformer.decoder is None else transformer.decode(IDS, mask=MASK)


@pytest.mark.parametrize("causal", [False, True], ids=["encoder", "decoder"])
@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_a_layer_may_run_several_times(order: tuple[int, ...], causal: bool) -> None:
    shared = model(LAYERS, order, causal=causal)
    apart = model(tuple(LAYERS[number] for number in order), None, causal=causal)
    side = "decoder" if causal else "encoder"
    state = shared.state_dict()
    copied = {name: tensor for name, tensor in state.items() if f"{side}.layers." not in name}
    for place, number in enumerate(order):
        start = f"{side}.layers.{number}."
        parts = {name: tensor for name, tensor in state.items() if name.startswith(start)}
        copied |= {f"{side}.layers.{place}.{name.removeprefix(start)}": tensor for name, tensor in parts.items()}
    apart.load_state_dict(copied)
    assert torch.equal(run(shared), run(apart))


def test_the_order_makes_a_difference() -> None:
    answers = [run(model(LAYERS, order, causal=False)) for order in ORDERS]
    assert all((answers[0] - other).abs().max() > 1e-3 for other in answers[1:])


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_a_cache_has_room_for_every_run_of_a_layer(order: tuple[int, ...]) -> None:
    decoder = model(LAYERS, order, causal=True)
    whole = run(decoder)
    with torch.inference_mode():
        cache = decoder.new_cache(2, 5)
        steps = [decoder.decode(IDS[:, t : t + 1], mask=MASK[:, t : t + 1], cache=cache) for t in range(5)]
    assert (torch.cat(steps, 1) - whole)[MASK].abs().max() < 1e-13
