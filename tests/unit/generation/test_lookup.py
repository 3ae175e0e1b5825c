"""Drafts: where they come from, that they change no token of any text, and that they save steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heedful.generation import GenerationSettings, Hypothesis, Request, SlotEngine, generate, parse_settings, write_all
from heedful.generation.lookup import draft
from heedful.model import PointerSpec, PositionKind, Transformer, UniformSpec, build

V, START, END, LIMIT = 17, 2, 1, 48
TOKENS = st.lists(st.integers(0, 3), max_size=12)
TINY: dict[str, Any] = {"d_model": 8, "num_layers": 2, "num_heads": 2, "num_kv_heads": 1, "d_ff": 12}
KINDS: dict[str, dict[str, Any]] = {kind.value: {"positions": kind} for kind in PositionKind} | {
    "none": {"positions": None},
    "window": {"positions": "rotary", "window": 4},
    "pointer": {"pointer": PointerSpec(head_dim=6)},
}


def make(kind: str, *, encoder: bool, **changes: Any) -> Transformer:
    """A model with large weights, so that its tokens depend on their places and on each other."""
    spec = UniformSpec.model_validate({**TINY, **KINDS[kind]})
    form = spec.encoder_decoder if encoder else spec.decoder
    model = build(form(V, max_positions=LIMIT, **changes), seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return model.double().eval()


MODELS = {
    (kind, encoder): make(kind, encoder=encoder)
    for kind in KINDS
    for encoder in (False, True)
    if encoder or kind != "pointer"
}
RULES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "min_new_tokens": st.integers(0, 3),
        "no_repeat_ngram_size": st.integers(1, 4),
        "encoder_no_repeat_ngram_size": st.integers(2, 3),
        "repetition_penalty": st.sampled_from([0.7, 1.3]),
        "bad_words_ids": st.just([[5], [6, 7], [8, 8, 9]]),
        "suppress_tokens": st.just([9, 11]),
        "begin_suppress_tokens": st.just([12, 13]),
        "forced_bos_token_id": st.just(14),
        "forced_eos_token_id": st.just(END),
        "do_sample": st.booleans(),
        "temperature": st.sampled_from([0.3, 2.0]),
        "top_k": st.integers(0, 4),
        "seed": st.integers(0, 99),
    },
)


# Where drafts come from


@given(TOKENS, TOKENS, st.integers(1, 5), st.integers(1, 4))
def test_a_draft_is_what_followed_the_longest_end_before(
    tokens: list[int], source: list[int], size: int, ngram: int
) -> None:
    expected: list[int] = []
    for length in range(ngram, 0, -1):
        places = [
            (text, start + length)
            for text in (source, tokens)
            for start in range(len(text) - length)
            if length <= len(tokens) and text[start : start + length] == tokens[-length:]
        ]
        if places:
            text, begin = places[0]
            expected = text[begin : begin + size]
            break
    assert draft(tokens, source, size=size, ngram=ngram) == expected


@pytest.mark.parametrize(
    ("tokens", "source", "found"),
    [
        ((7, 4, 5), (3, 4, 5, 6, 8, 9), [6, 8]),
        ((7, 4, 5), (3, 5, 6), [6]),
        ((5, 6, 5), (), [6, 5]),
        ((5, 6, 7), (7,), []),
        ((), (5,), []),
    ],
)
def test_drafts(tokens: tuple[int, ...], source: tuple[int, ...], found: list[int]) -> None:
    assert draft(tokens, source, size=2, ngram=2) == found


# What they change


def request(key: int, length: int, *, encoder: bool, options: dict[str, Any]) -> Request[int]:
    """A text of few different tokens, so that drafts are found."""
    source = tuple(3 + (key * place) % 4 for place in range(1, 3 + key % 7))
    options = {"max_new_tokens": length, "eos_token_id": END, **options}
    if not encoder:
        options.pop("encoder_no_repeat_ngram_size", None)
    options["min_new_tokens"] = min(options.get("min_new_tokens", 0), length)
    return Request(key, source if encoder else (), (START,) if encoder else source, parse_settings(options))


def with_drafts(asked: Request[int], size: int, ngram: int, **changes: Any) -> Request[int]:
    drafting = {"prompt_lookup_num_tokens": size, "max_matching_ngram_size": ngram}
    settings_ = asked.settings.model_copy(update=drafting)
    return Request(asked.key, asked.source, asked.prompt, settings_, **changes)


def same(found: Hypothesis, expected: Hypothesis) -> bool:
    return found.tokens == expected.tokens and found.log_probabilities == pytest.approx(
        expected.log_probabilities, abs=1e-9
    )


@pytest.mark.parametrize(("kind", "encoder"), MODELS)
@given(data=st.data(), size=st.integers(1, 6), ngram=st.integers(1, 3), num_slots=st.integers(1, 4))
@settings(max_examples=6, deadline=None)
def test_texts_that_come_and_go_are_written_the_same(
    kind: str, encoder: bool, data: st.DataObject, size: int, ngram: int, num_slots: int
) -> None:
    model = MODELS[kind, encoder]
    lengths = data.draw(st.lists(st.integers(1, 24), min_size=1, max_size=5))
    options = data.draw(RULES)
    requests = [request(number, length, encoder=encoder, options=options) for number, length in enumerate(lengths)]
    engine: SlotEngine[int] = SlotEngine(model, num_slots=num_slots, num_beams=1)
    waiting, found = list(requests), dict[int, list[Hypothesis]]()
    told: dict[int, list[int]] = {number: [] for number in range(len(requests))}
    while waiting or not engine.is_idle:
        if entering := waiting[: data.draw(st.integers(int(engine.is_idle), engine.free))]:
            # One in four goes without drafts beside the others.
            engine.admit(
                [
                    with_drafts(one, size * bool((one.key + 1) % 4), ngram, on_token=told[one.key].append)
                    for one in entering
                ]
            )
        waiting = waiting[len(entering) :]
        found |= dict(engine.step())
    for one in requests:
        ((_, (expected,)),) = write_all(model, [one])
        (hypothesis,) = found[one.key]
        assert same(hypothesis, expected)
        assert tuple(told[one.key]) == expected.tokens


def test_a_draft_stays_within_the_positions() -> None:
    model = MODELS["learned", True]
    asked = request(5, LIMIT, encoder=True, options={"min_new_tokens": LIMIT - 1})
    beside = request(3, 5, encoder=True, options={})
    expected = dict(write_all(model, [asked, beside]))
    found = dict(write_all(model, [with_drafts(asked, 9, 1), with_drafts(beside, 9, 1)]))
    assert {key: one.tokens for key, (one,) in found.items()} == {key: one.tokens for key, (one,) in expected.items()}
    assert len(found[5][0].tokens) == LIMIT


# What they save


class Steps:
    """Counts the steps of a model, and what is read in each of them."""

    def __init__(self, model: Transformer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.widths: list[int] = []
        step = model.step

        def counted(ids: torch.Tensor, **state: Any) -> torch.Tensor:
            self.widths.append(ids.shape[1])
            return step(ids, **state)

        monkeypatch.setattr(model, "step", counted)


def successor(**changes: Any) -> Transformer:
    """A model that writes after token 3 token 4, after that 5, and so on: of a source 3, 4, … it makes a copy."""
    plain = UniformSpec(d_model=V, head_dim=2, num_layers=1, num_heads=1, positions=None, tied_output=False)
    model = build(plain.encoder_decoder(V, **changes), seed=0).eval()
    assert model.output is not None
    assert model.output.weight is not None
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.zero_()
        model.written_embedding.weight.copy_(torch.eye(V))
        model.output.weight.copy_(torch.eye(V).roll(1, 0))
    return model


@pytest.mark.parametrize(("size", "widths"), [(0, [1] * 14), (1, [1, *[2] * 6, 1]), (4, [1, 5, 5, 3]), (64, [1, 13])])
def test_what_is_copied_takes_fewer_steps(size: int, widths: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a step all tokens are written that the source has, and one more; the last one is not read."""
    model = successor()
    steps = Steps(model, monkeypatch)
    source = tuple(range(3, V))
    settings_ = GenerationSettings(max_new_tokens=14, prompt_lookup_num_tokens=size)
    ((_, (answer,)),) = write_all(model, [Request(0, source, (START,), settings_)])
    assert answer.tokens == source
    assert steps.widths == widths


def test_a_draft_that_is_wrong_costs_no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    model = successor()
    steps = Steps(model, monkeypatch)
    source = (3, 9, 4, 9, 5, 9, 6, 9, 7, 3)
    settings_ = GenerationSettings(max_new_tokens=6, prompt_lookup_num_tokens=2)
    ((_, (answer,)),) = write_all(model, [Request(0, source, (START,), settings_)])
    assert answer.tokens == (3, 4, 5, 6, 7, 8)
    assert steps.widths == [1, 3, 3, 3, 2, 1]


def test_only_the_columns_that_stay_take_room() -> None:
    model = successor()
    engine: SlotEngine[int] = SlotEngine(model, num_slots=1, num_beams=1)
    settings_ = GenerationSettings(max_new_tokens=10, prompt_lookup_num_tokens=6)
    engine.admit([Request(0, (3, 9) * 4, (START,), settings_)])
    for written in range(1, 10):
        assert engine.step() == []
        assert engine._slots._columns == written


def test_a_source_of_another_vocabulary_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    model = successor(target_vocabulary_size=V)
    steps = Steps(model, monkeypatch)
    settings_ = GenerationSettings(max_new_tokens=5, prompt_lookup_num_tokens=4)
    for prompt in ((START,), (START, 3, 4, 5, 6, 7, START)):
        ((_, (answer,)),) = write_all(model, [Request(0, tuple(range(3, V)), prompt, settings_)])
        assert answer.tokens == (3, 4, 5, 6, 7)
    assert steps.widths == [1, 1, 1, 1, 1, 5]


def test_beams_go_without_drafts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = MODELS["learned", True]
    steps = Steps(model, monkeypatch)
    ids = torch.tensor([[3, 4, 3, 4]])
    options = {"num_beams": 3, "max_new_tokens": 6, "decoder_start_token_id": START}
    plain = generate(model, ids, settings=parse_settings(options))
    assert generate(model, ids, settings=parse_settings({**options, "prompt_lookup_num_tokens": 4})) == plain
    assert set(steps.widths) == {3}
