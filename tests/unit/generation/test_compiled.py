"""A compiled encoder and step write what the model writes, whoever stands beside a text and whenever it enters."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heedful.generation import CompiledWriter, Hypothesis, Request, SlotEngine, parse_settings, write_all
from heedful.inference import OpenVino, Workers
from heedful.model import PointerSpec, Transformer, UniformSpec, build
from heedful.nn.int8 import Int8Linear

V, START, END = 23, 2, 1
SIZES = UniformSpec(d_model=16, num_layers=2, num_heads=2, d_ff=24)
KINDS: dict[str, Callable[[], Transformer]] = {
    "encoder and decoder": lambda: build(SIZES.encoder_decoder(V), seed=0),
    "pointer": lambda: build(SIZES.model_copy(update={"pointer": PointerSpec(head_dim=6)}).encoder_decoder(V), seed=0),
    "decoder": lambda: build(SIZES.model_copy(update={"positions": "rotary", "window": 4}).decoder(V), seed=0),
}
TOLERANCE = 1e-6
"""Of scores of size 1 (the mean over tokens); the largest difference seen is 3e-7."""


@pytest.fixture(scope="module", params=KINDS)
def pair(request: pytest.FixtureRequest) -> tuple[Transformer, CompiledWriter]:
    model = KINDS[request.param]().eval()
    return model, CompiledWriter(model, partial(OpenVino, fingerprint=None))


def asked(model: Transformer, number: int, length: int, num_beams: int) -> Request[int]:
    options = {"decoder_start_token_id": START, "eos_token_id": END, "num_beams": num_beams, "max_new_tokens": length}
    source = tuple(3 + (number * place) % 19 for place in range(1, 2 + number % 7))
    prompt = (START,) if model.encoder is not None else source
    return Request(number, source if model.encoder is not None else (), prompt, parse_settings(options))


@given(st.data(), st.sampled_from([1, 3]), st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_texts_that_come_and_go_are_written_the_same(
    pair: tuple[Transformer, CompiledWriter], data: st.DataObject, num_beams: int, num_slots: int
) -> None:
    model, compiled = pair
    lengths = data.draw(st.lists(st.integers(1, 30), min_size=1, max_size=7))
    requests = [asked(model, number, length, num_beams) for number, length in enumerate(lengths)]
    engine: SlotEngine[int] = SlotEngine(model, num_slots=num_slots, num_beams=num_beams, compiled=compiled)
    waiting, found = list(requests), dict[int, list[Hypothesis]]()
    while waiting or not engine.is_idle:
        if entering := waiting[: data.draw(st.integers(int(engine.is_idle), engine.free))]:
            engine.admit(entering)
        waiting = waiting[len(entering) :]
        found |= dict(engine.step())
    for request in requests:
        ((_, expected),) = write_all(model, [request])
        assert [one.tokens for one in found[request.key]] == [one.tokens for one in expected]
        scores = [one.score for one in expected]
        assert [one.score for one in found[request.key]] == pytest.approx(scores, abs=TOLERANCE)


@pytest.mark.parametrize("size", [1, 5])
def test_it_reads_drafts(pair: tuple[Transformer, CompiledWriter], size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, compiled = pair
    widths, read = set(), CompiledWriter.read

    def watched(self: CompiledWriter, ids: torch.Tensor, **state: Any) -> tuple[torch.Tensor, torch.Tensor]:
        widths.add(ids.shape[1])
        return read(self, ids, **state)

    monkeypatch.setattr(CompiledWriter, "read", watched)
    requests = [asked(model, number, 2 + 3 * number, 1) for number in range(9)]
    drafting = [
        replace(one, settings=one.settings.model_copy(update={"prompt_lookup_num_tokens": size})) for one in requests
    ]
    found = dict(write_all(model, drafting, num_slots=4, compiled=compiled))
    for key, (expected,) in write_all(model, requests):
        assert found[key][0].tokens == expected.tokens
        assert found[key][0].score == pytest.approx(expected.score, abs=TOLERANCE)
    assert max(widths) == 1 + size


@pytest.mark.parametrize("num_beams", [1, 3])
@pytest.mark.parametrize("workers", [Workers(1), Workers(2), Workers(3, 1)])
def test_workers_share_the_texts(
    pair: tuple[Transformer, CompiledWriter], workers: Workers, num_beams: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, compiled = pair
    writing, read = set(), CompiledWriter.read

    def watched(self: CompiledWriter, ids: torch.Tensor, **state: Any) -> tuple[torch.Tensor, torch.Tensor]:
        writing.add(threading.get_ident())
        return read(self, ids, **state)

    monkeypatch.setattr(CompiledWriter, "read", watched)
    requests = [asked(model, number, 2 + number // 3, num_beams) for number in range(40)]
    found = dict(write_all(model, requests, num_slots=4, compiled=compiled, workers=workers))
    expected = dict(write_all(model, requests, num_slots=4))
    assert {key: one[0].tokens for key, one in found.items()} == {key: one[0].tokens for key, one in expected.items()}
    assert len(writing) == workers.count


def test_its_numbers_stay_when_those_of_the_tracer_are_gone() -> None:
    model = build(UniformSpec(d_model=64, num_layers=2, num_heads=4, d_ff=128).encoder_decoder(500), seed=0).eval()
    for module in list(model.modules()):
        for name, part in list(module.named_children()):
            if type(part) is torch.nn.Linear:
                setattr(module, name, Int8Linear.of(part))  # of which a tracer makes numbers of its own
    compiled = CompiledWriter(model, partial(OpenVino, fingerprint=None))
    requests = [asked(model, number, 30, 4) for number in range(16)]
    expected = dict(write_all(model, requests))
    filled = [torch.full(shape, torch.nan) for shape in [(500, 64), (64, 64), (64, 128)] for _ in range(50)]
    written = dict(write_all(model, requests, compiled=compiled))
    del filled
    for key, (one, *_) in expected.items():
        assert written[key][0].score == pytest.approx(one.score, abs=0.05)
