"""With the same weights, encoder, decoder and encoder-decoder equal ``torch.nn.Transformer``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from heedful.model import Activation, NormPlacement, Transformer, TransformerSpec, UniformSpec, build

VOCABULARY, WIDTH, HEADS, INNER, LAYERS = 13, 12, 3, 20, 3
TOLERANCE = 1e-13  # measured: 0

pytestmark = [
    pytest.mark.filterwarnings("ignore:enable_nested_tensor is True:UserWarning"),
    pytest.mark.parametrize("activation", [Activation.RELU, Activation.GELU]),
    pytest.mark.parametrize("norm_placement", [NormPlacement.PRE, NormPlacement.POST]),
    pytest.mark.parametrize("padded", [False, True], ids=["unpadded", "padded"]),
]


def uniform(norm_placement: NormPlacement, activation: Activation) -> UniformSpec:
    return UniformSpec(
        d_model=WIDTH,
        num_layers=LAYERS,
        num_heads=HEADS,
        d_ff=INNER,
        activation=activation,
        norm_placement=norm_placement,
        positions=None,
        scaled_embeddings=False,
    )


def with_final_norms(spec: TransformerSpec) -> TransformerSpec:
    """``torch.nn.Transformer`` has them with post-norm too."""
    tree = spec.model_dump()
    for name in ("encoder", "decoder"):
        if tree[name] is not None:
            tree[name]["norm"] = {}
    return TransformerSpec.model_validate(tree)


def random_model(spec: TransformerSpec) -> Transformer:
    torch.manual_seed(0)
    model = build(with_final_norms(spec)).double().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return model


def torch_weights(name: str, layers: nn.ModuleList, norm: nn.Module, *, crossing: bool) -> Iterator[tuple[str, Tensor]]:
    """Our stack's weights under the names that they have in ``torch.nn``."""
    attentions = {"self_attention": "self_attn"} | ({"cross_attention": "multihead_attn"} if crossing else {})
    for index, layer in enumerate(layers):
        weights = layer.state_dict()
        prefix = f"{name}layers.{index}."
        for ours, theirs in attentions.items():
            for kind in ("weight", "bias"):
                parts = [weights[f"{ours}.{part}.{kind}"] for part in ("query", "key", "value")]
                yield f"{prefix}{theirs}.in_proj_{kind}", torch.cat(parts)
                yield f"{prefix}{theirs}.out_proj.{kind}", weights[f"{ours}.output.{kind}"]
        for number, slot in enumerate([*attentions, "feed_forward"], start=1):
            for kind in ("weight", "bias"):
                (value,) = [
                    weights[key] for key in weights if key.startswith(f"{slot}_residual") and key.endswith(kind)
                ]
                yield f"{prefix}norm{number}.{kind}", value
        for ours, theirs in {"up": "linear1", "down": "linear2"}.items():
            for kind in ("weight", "bias"):
                yield f"{prefix}{theirs}.{kind}", weights[f"feed_forward.{ours}.{kind}"]
    for kind, value in norm.state_dict().items():
        yield f"{name}norm.{kind}", value


def texts(padded: bool) -> tuple[Tensor, Tensor | None]:
    torch.manual_seed(1)
    ids = torch.randint(VOCABULARY, (4, 9))
    return ids, torch.arange(9) < torch.tensor([9, 6, 1, 4])[:, None] if padded else None


def assert_equal_at_real_tokens(actual: Tensor, expected: Tensor, mask: Tensor | None) -> None:
    real = torch.ones(actual.shape[:2], dtype=torch.bool) if mask is None else mask
    assert actual[real].std() > 0.1
    assert (actual - expected)[real].abs().max() < TOLERANCE


def layer_settings(norm_placement: NormPlacement, activation: Activation) -> dict[str, object]:
    return {
        "dim_feedforward": INNER,
        "dropout": 0.0,
        "activation": activation.value,
        "norm_first": norm_placement is NormPlacement.PRE,
        "batch_first": True,
        "dtype": torch.float64,
    }


@pytest.mark.parametrize("causal", [False, True], ids=["encoder", "decoder-only"])
def test_one_stack_equals_transformer_encoder(
    causal: bool, padded: bool, norm_placement: NormPlacement, activation: Activation
) -> None:
    settings = uniform(norm_placement, activation)
    model = random_model(settings.decoder(VOCABULARY) if causal else settings.encoder(VOCABULARY))
    stack = model.decoder if causal else model.encoder
    assert stack is not None
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, **layer_settings(norm_placement, activation))  # type: ignore[arg-type]
    reference = nn.TransformerEncoder(
        layer, LAYERS, norm=nn.LayerNorm(WIDTH, dtype=torch.float64), enable_nested_tensor=False
    )
    reference.load_state_dict(dict(torch_weights("", stack.layers, stack.norm, crossing=False)))

    ids, mask = texts(padded)
    expected = reference(
        model.token_embedding(ids),
        mask=torch.ones(9, 9).triu(1).bool() if causal else None,
        src_key_padding_mask=None if mask is None else ~mask,
    )
    actual = model.decode(ids, mask=mask) if causal else model.encode(ids, mask)
    assert_equal_at_real_tokens(actual, expected, mask)


def test_encoder_decoder_equals_transformer(
    padded: bool, norm_placement: NormPlacement, activation: Activation
) -> None:
    model = random_model(uniform(norm_placement, activation).encoder_decoder(VOCABULARY))
    assert model.encoder is not None
    assert model.decoder is not None
    settings = layer_settings(norm_placement, activation)
    reference = nn.Transformer(WIDTH, HEADS, LAYERS, LAYERS, **settings)  # type: ignore[arg-type]
    reference.load_state_dict(
        dict(torch_weights("encoder.", model.encoder.layers, model.encoder.norm, crossing=False))
        | dict(torch_weights("decoder.", model.decoder.layers, model.decoder.norm, crossing=True))
    )

    (source, source_mask), target = texts(padded), torch.randint(VOCABULARY, (4, 6))
    target_mask = None if source_mask is None else torch.arange(6) < torch.tensor([6, 1, 5, 3])[:, None]
    expected = reference(
        model.token_embedding(source),
        model.token_embedding(target),
        tgt_mask=torch.ones(6, 6).triu(1).bool(),
        src_key_padding_mask=None if source_mask is None else ~source_mask,
        memory_key_padding_mask=None if source_mask is None else ~source_mask,
        tgt_key_padding_mask=None if target_mask is None else ~target_mask,
    )
    actual = model.decode(target, model.encode(source, source_mask), source_mask, target_mask)
    assert_equal_at_real_tokens(actual, expected, target_mask)
