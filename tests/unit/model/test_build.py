"""Building gives reproducible, sensible weights under stable names, and they survive a file bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from heedful.model import (
    ClassificationHeadSpec,
    DisentangledSpec,
    FeedForwardSpec,
    LayerSpec,
    NormPlacement,
    SelfAttentionSpec,
    StackSpec,
    TransformerSpec,
    UniformSpec,
    build,
    build_head,
)

UNIFORM = UniformSpec(d_model=64, num_layers=1, num_heads=4, positions="learned")


def test_the_same_seed_gives_the_same_weights() -> None:
    spec = UNIFORM.encoder_decoder(50, max_positions=9)
    first, second, other = (build(spec, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["token_embedding.weight"], other["token_embedding.weight"])
    head = ClassificationHeadSpec(num_labels=5)
    weights = [build_head(head, 64, seed=seed).output.weight for seed in (3, 3, 4)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_seed_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    build(UNIFORM.decoder(50, max_positions=9), seed=1)
    assert torch.equal(torch.rand(3), expected)


def test_without_a_seed_the_global_random_state_decides() -> None:
    weights = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        weights.append(build(UNIFORM.decoder(50, max_positions=9)).token_embedding.weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_fresh_weights_have_the_documented_spread() -> None:
    uniform = UNIFORM.model_copy(update={"tied_output": False, "norm_placement": "sandwich"})
    model = build(uniform.encoder_decoder(2_000, max_positions=900), seed=0)
    for part in model.modules():
        match part:
            case nn.Linear():
                limit = (6 / (part.in_features + part.out_features)) ** 0.5
                assert 0.98 * limit < part.weight.abs().max() <= limit
                assert not part.bias.any()
            case nn.Embedding():
                assert part.weight.std().item() == pytest.approx(64**-0.5, rel=0.05)
            case nn.LayerNorm():
                assert (part.weight == 1).all()
                assert not part.bias.any()
    assert model.output is not None
    assert model.output.weight is not None
    assert model.output.weight.std().item() == pytest.approx(64**-0.5, rel=0.05)


def test_weight_names_are_stable() -> None:
    """Saved models depend on these names."""
    uniform = UniformSpec(
        d_model=8, num_layers=1, num_heads=2, positions="relative_bias", gated=True, attention_bias=False
    )
    names = set(build(uniform.encoder_decoder(9)).state_dict())
    attention = {f"self_attention.{part}.weight" for part in ("query", "key", "value", "output")}
    crossing = {name.replace("self", "cross") for name in attention}
    feed_forward = {f"feed_forward.{part}.{kind}" for part in ("gate", "up", "down") for kind in ("weight", "bias")}
    kinds = ("weight", "bias")
    norms = {f"{slot}_residual.norm_before.{kind}" for slot in ("self_attention", "feed_forward") for kind in kinds}
    crossing |= {f"cross_attention_residual.norm_before.{kind}" for kind in kinds}
    stack = {"relative_bias.table.weight", "norm.weight", "norm.bias"}
    encoder = stack | {f"layers.0.{name}" for name in attention | feed_forward | norms}
    decoder = encoder | {f"layers.0.{name}" for name in crossing}
    assert names == (
        {"token_embedding.weight"} | {f"encoder.{name}" for name in encoder} | {f"decoder.{name}" for name in decoder}
    )

    learned = build(UNIFORM.encoder(9, max_positions=5, num_token_types=2)).state_dict()
    assert {"encoder.embeddings.positions.table.weight", "encoder.embeddings.token_types.weight"} <= set(learned)
    head = build_head(ClassificationHeadSpec(num_labels=2, dense=True), 8).state_dict()
    assert list(head) == ["dense.weight", "dense.bias", "output.weight", "output.bias"]


def layer(head_dim: int = 4, **options: object) -> LayerSpec:
    attention = SelfAttentionSpec(num_heads=2, head_dim=head_dim)
    return LayerSpec.model_validate({"self_attention": attention, "feed_forward": FeedForwardSpec(d_ff=9), **options})


@pytest.mark.parametrize("slot", ["self_attention", "feed_forward"])
@pytest.mark.parametrize("placement", [place for place in NormPlacement if place is not NormPlacement.NONE])
def test_a_slot_may_stand_without_norms(placement: NormPlacement, slot: str) -> None:
    stack = StackSpec(layers=(layer(norm_placement=placement), layer(norm_placement=placement, without_norm=[slot])))
    model = build(TransformerSpec(vocabulary_size=5, d_model=8, encoder=stack))
    norms = [
        {name for name in model.state_dict() if name.startswith(f"encoder.layers.{number}.") and "norm_" in name}
        for number in (0, 1)
    ]
    ours = f"encoder.layers.0.{slot}_residual."
    assert norms[0] and norms[1]
    assert {name.replace(".1.", ".0.", 1) for name in norms[1]} == {
        name for name in norms[0] if not name.startswith(ours)
    }


@pytest.mark.parametrize("width", [None, 4, 8])
def test_token_vectors_of_a_given_width_have_a_map(width: int | None) -> None:
    spec = TransformerSpec(vocabulary_size=5, d_model=8, embedding_width=width, encoder=StackSpec(layers=(layer(),)))
    state = build(spec).state_dict()
    assert state["token_embedding.weight"].shape == (5, width or 8)
    projection = state.get("encoder.embeddings.projection.weight")
    assert projection is None if width is None else projection is not None and projection.shape == (8, width)


@pytest.mark.parametrize(("to_position", "to_content"), [(True, True), (True, False), (False, False)])
def test_disentangled_scores_share_the_variance_and_layers_the_vectors(to_position: bool, to_content: bool) -> None:
    positions = DisentangledSpec(max_distance=6, content_to_position=to_position, position_to_content=to_content)
    stack = StackSpec(layers=(layer(4), layer(6)), positions=positions)
    model = build(TransformerSpec(vocabulary_size=5, d_model=8, encoder=stack), seed=0)
    tables = [name for name in model.state_dict() if "positions." in name]
    assert tables == ["encoder.positions.0.table.weight"]
    assert model.encoder is not None
    for part, head_dim in zip(model.encoder.layers, (4, 6), strict=True):
        assert part.self_attention.kernel.scale == ((1 + to_position + to_content) * head_dim) ** -0.5  # type: ignore[union-attr]


@pytest.mark.parametrize("form", ["encoder", "decoder", "encoder_decoder"])
def test_models_survive_a_file_bit_for_bit(uniform: UniformSpec, form: str, tmp_path: Path) -> None:
    spec = getattr(uniform, form)(11, max_positions=6)
    saved, loaded = build(spec, seed=1).eval(), build(spec, seed=2).eval()
    path = tmp_path / "model.safetensors"
    save_file(saved.state_dict(), path)  # refuses weights that appear under two names
    loaded.load_state_dict(load_file(path))

    ids = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])
    outputs = []
    for model in (saved, loaded):
        states = ids if model.encoder is None else model.encode(ids)
        if model.decoder is not None:
            states = model.logits(model.decode(ids, None if model.encoder is None else states))
        outputs.append(states)
    assert torch.equal(*outputs)


@pytest.mark.parametrize("tied", [False, True])
def test_tied_output_shares_the_token_table(tied: bool) -> None:
    model = build(UNIFORM.model_copy(update={"tied_output": tied}).decoder(9, max_positions=5), seed=0)
    hidden = torch.randn(2, 64)
    shared = torch.equal(model.logits(hidden), hidden @ model.token_embedding.weight.T)
    assert shared == tied
    assert ("output.weight" in model.state_dict()) != tied
