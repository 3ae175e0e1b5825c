"""A shortlist: its tokens are written as if there were no others, and no weight of the model changes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from heedful.errors import UnsupportedError
from heedful.generation import CompiledWriter, Hypothesis, generate, parse_settings, write_all
from heedful.generation.engine import Request
from heedful.inference import OpenVino
from heedful.model import PointerSpec, Transformer, UniformSpec, build
from heedful.nn import LanguageModelHead, OutputTransform, Shortlist
from heedful.nn.int8 import Int8Linear, Int8Weights

V, START, END = 29, 2, 1
LISTED = (1, 2, 3, 7, 8, 11, 19, 28)
SIZES = UniformSpec(d_model=16, num_layers=2, num_heads=2, d_ff=24)
COPYING = SIZES.model_copy(update={"pointer": PointerSpec(head_dim=6)})
HEADS = {
    "tied": LanguageModelHead(4, V, tied=True),
    "untied": LanguageModelHead(4, V),
    "biased": LanguageModelHead(4, V, tied=True, bias=True),
    "scaled": LanguageModelHead(4, V, scale=0.5),
    "capped": LanguageModelHead(4, V, soft_cap=2.0),
    "transformed": LanguageModelHead(
        4, V, transform=OutputTransform(6, 4, activation=nn.GELU(), norm=nn.LayerNorm(4)), bias=True
    ),
}


@pytest.mark.parametrize("name", HEADS)
def test_of_listed_tokens_the_logits_are_those_of_the_head(name: str) -> None:
    head, table = HEADS[name], nn.Parameter(torch.randn(V, 4))
    for parameter in head.parameters():
        nn.init.normal_(parameter)
    shortlist = Shortlist(head, table, LISTED)
    hidden = torch.randn(2, 3, 6 if name == "transformed" else 4)
    whole, listed = head(hidden, table), head(hidden, table, shortlist.product)
    logits = shortlist(listed)
    others = [token for token in range(V) if token not in LISTED]
    assert torch.allclose(logits[..., list(LISTED)], whole[..., list(LISTED)], atol=1e-6)
    assert bool((logits[..., others] == -torch.inf).all())
    copied = shortlist(listed, copied=True)
    assert torch.equal(copied[..., list(LISTED)], logits[..., list(LISTED)])
    assert bool((copied[..., others] == logits.amax(-1, keepdim=True) - 100).all())
    assert not shortlist.state_dict()


@pytest.mark.parametrize("make", [Int8Weights.of, Int8Linear.of, partial(Int8Linear.of, span=(-2.0, 2.0))])
def test_of_a_rounded_product_it_has_the_same_rows(make: Callable[[nn.Linear], Int8Weights]) -> None:
    table = nn.Parameter(torch.randn(V, 16))
    head = LanguageModelHead(16, V, tied=True, bias=True)
    head.product = make(head.linear(table))
    hidden = torch.randn(2, 3, 16)
    listed = head(hidden, table, Shortlist(head, table, LISTED).product)
    assert torch.equal(listed, head(hidden, table)[..., list(LISTED)])


def listing(spec: UniformSpec = SIZES, *, encoder: bool = True, listed: bool = True) -> Transformer:
    model = build((spec.encoder_decoder if encoder else spec.decoder)(V), seed=0).double().eval()
    model.set_shortlist(LISTED if listed else None)
    return model


def rows_without(*tokens: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    choice = torch.tensor([token for token in range(3, V) if token not in tokens])
    return choice[torch.randint(len(choice), (9, 6), generator=generator)]


@pytest.mark.parametrize("encoder", [True, False])
@pytest.mark.parametrize("num_beams", [1, 3])
def test_it_writes_as_if_there_were_no_other_tokens(encoder: bool, num_beams: int) -> None:
    model, reference = listing(encoder=encoder), listing(encoder=encoder, listed=False)
    assert reference.output is not None
    others = torch.full((V,), -torch.inf, dtype=torch.float64)
    others[list(LISTED)] = 0
    reference.output.bias = nn.Parameter(others)
    options = {"num_beams": num_beams, "max_new_tokens": 9, "eos_token_id": END, "decoder_start_token_id": START}
    settings = parse_settings({**options, "no_repeat_ngram_size": 2, "num_return_sequences": num_beams})
    written = generate(model, rows_without(), settings=settings)
    expected = generate(reference, rows_without(), settings=settings)
    for found, wanted in zip(written, expected, strict=True):
        assert [one.tokens for one in found] == [one.tokens for one in wanted]
        assert [one.score for one in found] == pytest.approx([one.score for one in wanted], abs=1e-12)
        assert set(LISTED).issuperset(token for one in found for token in one.tokens)
    model.set_shortlist(None)
    whole = generate(model, rows_without(), settings=settings)
    assert any(token not in LISTED for (one, *_) in whole for token in one.tokens)


def test_what_stands_in_the_source_may_be_copied_all_the_same() -> None:
    """p(w) = g · softmax(listed logits)_w + (1 - g) · a_w, of listed tokens and of others."""
    model = listing(COPYING)
    ids = torch.tensor([[3, 5, 5, 9, 11]])  # 5 and 9 are not listed
    memory = model.encode(ids)
    with torch.no_grad():
        hidden = model.decode(torch.tensor([[START, 3, 9]]), memory)
        copies = model.copies(hidden, model.copy_source(ids, memory))
        assert copies is not None
        mixed = model.logits(hidden, copies, listed=True).exp()
        assert model.shortlist is not None
        assert model.output is not None
        listed = model.output(hidden, model.written_embedding.weight, model.shortlist.product)
        generated = model.shortlist(listed).softmax(-1)
        gate = copies.gate.sigmoid()
        copied = torch.zeros_like(generated).scatter_add(-1, copies.ids, copies.weights)
    assert torch.allclose(mixed, gate * generated + (1 - gate) * copied, atol=1e-12)
    assert float(mixed[..., [5, 9]].min()) > 1e-3
    assert float(mixed[..., [4, 6, 20]].max()) < 1e-40


def test_a_model_that_copies_writes_listed_tokens_and_those_of_its_source() -> None:
    model = listing(COPYING)
    assert model.pointer is not None
    nn.init.constant_(model.pointer.gate.bias, -1.0)  # most tokens are copied
    options = parse_settings({"num_beams": 3, "max_new_tokens": 9, "decoder_start_token_id": START})
    ids = rows_without(*LISTED)
    answers = generate(model, ids, settings=options)
    written = [set(one.tokens) for (one,) in answers]
    assert all(tokens <= {*LISTED, *row} for tokens, row in zip(written, ids.tolist(), strict=True))
    assert any(tokens - {*LISTED} for tokens in written), "something was copied"


@pytest.mark.parametrize("spec", [SIZES, COPYING], ids=["plain", "pointer"])
@pytest.mark.parametrize("num_beams", [1, 3])
def test_a_compiled_step_goes_with_any_shortlist(spec: UniformSpec, num_beams: int) -> None:
    model = build(spec.encoder_decoder(V), seed=0).eval()
    compiled = CompiledWriter(model, partial(OpenVino, fingerprint=None)).without_logits()
    assert compiled.without_logits() is compiled
    settings = parse_settings(
        {"num_beams": num_beams, "max_new_tokens": 9, "eos_token_id": END, "decoder_start_token_id": START}
    )
    requests = [Request(key, tuple(row), (START,), settings) for key, row in enumerate(rows_without().tolist())]

    def tokens(found: dict[int, list[Hypothesis]]) -> dict[int, tuple[int, ...]]:
        return {key: one.tokens for key, (one,) in found.items()}

    seen = []
    for listed in (LISTED, range(12), None):
        model.set_shortlist(listed)
        seen.append(tokens(dict(write_all(model, requests))))
        assert tokens(dict(write_all(model, requests, compiled=compiled))) == seen[-1]
    assert seen[0] != seen[1] != seen[2]


def test_it_is_no_part_of_what_is_saved() -> None:
    model = listing(listed=False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.set_shortlist(LISTED)
    assert model.state_dict().keys() == before.keys()
    hidden = torch.randn(1, 2, 16, dtype=torch.float64)
    assert bool((model.logits(hidden) > -torch.inf).all()), "only who writes looks at it"


def test_a_model_that_writes_nothing_has_none() -> None:
    with pytest.raises(UnsupportedError, match="no language-model head"):
        build(SIZES.encoder(V), seed=0).set_shortlist(LISTED)
