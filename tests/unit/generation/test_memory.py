"""What writing takes is estimated before: never less than it is, and not much more."""

from __future__ import annotations

import pytest
import torch

from heedful.errors import RequestError
from heedful.generation import Request, SlotEngine, generate, parse_settings
from heedful.generation.memory import available_memory, estimate_memory, fitting_slots
from heedful.generation.slots import Slots
from heedful.model import Transformer, UniformSpec, build

V, START = 50, 2
SHAPE = UniformSpec(d_model=8, num_layers=2, num_heads=2, d_ff=12)
MODELS = {"encoder and decoder": SHAPE.encoder_decoder(V), "decoder": SHAPE.decoder(V)}


@pytest.fixture(params=MODELS, scope="module")
def model(request: pytest.FixtureRequest) -> Transformer:
    return build(MODELS[request.param], seed=0).double().eval()


def bytes_of(slots: Slots) -> int:
    """All that a batch of texts remembers."""
    tensors = [tensor for cache in slots.caches for tensor in (cache.keys, cache.values, *(cache.memory or ()))]
    tensors += [value for value in vars(slots).values() if isinstance(value, torch.Tensor)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@pytest.mark.parametrize(
    ("beams", "length", "draft"), [(1, 20, 0), (4, 20, 0), (4, 28, 0), (4, 100, 0), (1, 15, 4), (1, 100, 40)]
)
@pytest.mark.parametrize("staggered", [False, True])
def test_the_estimate_is_what_the_engine_takes(
    model: Transformer, beams: int, length: int, draft: int, staggered: bool
) -> None:
    settings = parse_settings(
        {
            "max_new_tokens": length,
            "num_beams": beams,
            "early_stopping": "never",
            "prompt_lookup_num_tokens": draft,
        }
    )
    source = tuple(range(3, 12))
    read, prompt = ((), source) if model.encoder is None else (source, (START,))
    engine: SlotEngine[int] = SlotEngine(model, num_slots=3, num_beams=beams)
    waiting, peak, step = 9 if staggered else 3, 0, 0
    while waiting or not engine.is_idle:
        if waiting and engine.free and (step % (length // 3) == 0 if staggered else engine.is_idle):
            entering = 1 if staggered else 3
            engine.admit([Request(waiting - number, read, prompt, settings) for number in range(entering)])
            waiting -= entering
        engine.step()
        step += 1
        peak = max(peak, bytes_of(engine._slots))
    estimate = estimate_memory(model, settings, num_slots=3, source_length=len(source))
    # The estimate is of beams that have no token in common; these have many.
    assert peak <= estimate.total - estimate.scores <= 5 * peak


def test_a_job_that_fits_goes_as_it_is(model: Transformer) -> None:
    settings = parse_settings({"num_beams": 4})
    assert fitting_slots(model, settings, num_slots=24, source_length=100, available=10**10) == 24
    assert fitting_slots(model, settings, num_slots=24, source_length=100) == 24


def test_where_memory_is_short_fewer_texts_are_written_side_by_side(model: Transformer) -> None:
    settings = parse_settings({"num_beams": 4})
    some = estimate_memory(model, settings, num_slots=5, source_length=100).total
    assert fitting_slots(model, settings, num_slots=24, source_length=100, available=some) == 5


def test_what_never_fits_is_refused_with_the_figures(model: Transformer) -> None:
    settings = parse_settings({"num_beams": 64, "max_new_tokens": 2**20})
    needed = estimate_memory(model, settings, num_slots=1, source_length=9)
    with pytest.raises(RequestError) as caught:
        fitting_slots(model, settings, num_slots=4, source_length=9, available=10**9)
    assert "64 beams and a vocabulary of 50" in caught.value.message
    assert f"takes {needed.total / 1e9:,.2f} GB" in caught.value.message
    assert "1.00 GB are free on cpu" in caught.value.message


def test_generation_asks_before_it_begins(model: Transformer, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = torch.tensor([[3, 4, 5]] * 4)
    settings = parse_settings({"num_beams": 4, "max_new_tokens": 8, "decoder_start_token_id": START})
    plenty = generate(model, ids, settings=settings)
    needed = estimate_memory(model, settings, num_slots=1, source_length=3).total
    monkeypatch.setattr("heedful.generation.memory.available_memory", lambda device: 0)
    assert generate(model, ids, settings=settings) == plenty, "so little is always there"
    monkeypatch.setattr("heedful.generation.memory.LITTLE", 0)
    monkeypatch.setattr("heedful.generation.memory.available_memory", lambda device: needed)
    one_by_one = generate(model, ids, settings=settings)
    assert [each[0].tokens for each in one_by_one] == [each[0].tokens for each in plenty]
    monkeypatch.setattr("heedful.generation.memory.available_memory", lambda device: needed - 1)
    with pytest.raises(RequestError, match="4 beams and a vocabulary of 50 takes"):
        generate(model, ids, settings=settings)


def test_beams_times_vocabulary_count() -> None:
    large = build(SHAPE.encoder_decoder(200_000), seed=0)
    settings = parse_settings({"num_beams": 64, "max_new_tokens": 1})
    assert estimate_memory(large, settings, num_slots=1, source_length=1).scores >= 64 * 200_000 * 4 * 3


def test_the_system_tells_what_is_free() -> None:
    free = available_memory(torch.device("cpu"))
    assert free is not None
    assert 10**7 < free < 10**14
    assert available_memory(torch.device("meta")) is None


def test_a_container_has_no_more_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heedful.generation.memory.memory_left", lambda: 12_345)
    assert available_memory(torch.device("cpu")) == 12_345
    monkeypatch.setattr("heedful.generation.memory.memory_left", lambda: 2**60)
    assert available_memory(torch.device("cpu")) != 2**60
