"""Phrases that must appear: they do, in the best text that has them, and what cannot be met is flagged."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest
import torch
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from heedful.errors import RequestError
from heedful.generation import GenerationSettings, Hypothesis, Phrases, Request, SlotEngine, parse_settings, write_all
from heedful.generation.constrained import widened
from heedful.generation.constraints import TEXT_START, Constraints, possible
from heedful.model import Transformer, UniformSpec, build

V, START, END = 13, 2, 1
TINY = UniformSpec(d_model=8, num_layers=1, num_heads=2, d_ff=12)
tokens = st.integers(3, 6)
phrases = st.lists(st.lists(tokens, min_size=1, max_size=3).map(tuple), min_size=1, max_size=2).map(tuple)


@pytest.fixture(scope="module")
def model() -> Transformer:
    return build(TINY.encoder_decoder(V), seed=0).double().eval()


def settings(**options: object) -> GenerationSettings:
    return parse_settings({"decoder_start_token_id": START, "eos_token_id": END, "max_new_tokens": 14, **options})


def write(model: Transformer, constraints: Sequence[Phrases], **options: object) -> list[Hypothesis]:
    request = Request(0, (3, 4, 5), (START,), settings(**options), constraints=tuple(constraints))
    ((_, hypotheses),) = write_all(model, [request])
    return hypotheses


def holds(text: Sequence[int], phrase: Sequence[int]) -> bool:
    return any(tuple(text[start : start + len(phrase)]) == tuple(phrase) for start in range(len(text)))


def missing(constraints: Sequence[Phrases], text: Sequence[int]) -> tuple[int, ...]:
    all_of_them = Constraints(tuple(constraints))
    progress = all_of_them.start
    for token in text:
        progress = all_of_them.after(progress, token)
    return all_of_them.missing(progress)


# What counts as met


@pytest.mark.parametrize(
    ("constraints", "text", "left"),
    [
        ([((5, 6),)], [4, 5, 6], ()),
        ([((5, 6),)], [5, 4, 6], (0,)),
        ([((5, 6),)], [5, 5, 6], ()),
        ([((5, 5, 6),)], [5, 5, 5, 6], ()),
        ([((5,), (6,))], [6], ()),
        ([((5,),), ((5,),)], [5, 4], (1,)),
        ([((5,),), ((5,),)], [5, 4, 5], ()),
        # "house" and "houseboat": the longer one is read where it stands, and the shorter one is still to come
        ([((5,),), ((5, 6),)], [5, 6], (0,)),
        ([((5,),), ((5, 6),)], [5, 4, 5, 6], ()),
        ([((5,),), ((5, 6),)], [5, 6, 5], ()),
        ([((5,),), ((5, 6, 7),)], [5, 6, 4], (1,)),
        # what a longer phrase has begun is given back when it breaks off
        ([((5,),), ((6, 4),), ((5, 6, 7),)], [5, 6, 4, 5, 6, 7], ()),
        # the one that has no other way takes a phrase that two can use
        ([((5,), (6,)), ((5,),)], [5], (0,)),
    ],
)
def test_phrases_are_found(constraints: list[Phrases], text: list[int], left: tuple[int, ...]) -> None:
    assert missing(constraints, text) == left


@given(st.lists(phrases, min_size=1, max_size=3), st.lists(tokens, max_size=12))
def test_what_is_met_stands_in_the_text(constraints: list[Phrases], text: list[int]) -> None:
    left = missing(constraints, text)
    for number, alternatives in enumerate(constraints):
        if number not in left:
            assert any(holds(text, phrase) for phrase in alternatives)
    if len(constraints) == 1:
        assert bool(left) != any(holds(text, phrase) for phrase in constraints[0])


@given(st.lists(phrases, min_size=1, max_size=3), st.lists(tokens, max_size=8))
@example([((3,),), ((5,), (4, 5)), ((4, 5), (3, 3, 3))], [])  # 4 5 is the third one's
def test_the_next_tokens_lead_to_the_end(constraints: list[Phrases], text: list[int]) -> None:
    """This is what ends the search: the best bank comes nearer, whatever was written before."""
    all_of_them = Constraints(tuple(constraints))
    progress = all_of_them.start
    for token in text:
        progress = all_of_them.after(progress, token)
    for _ in range(sum(max(map(len, phrases)) for phrases in constraints)):
        assert (all_of_them.needed(progress) == 0) == (not all_of_them.missing(progress))
        if not all_of_them.needed(progress):
            break
        following = [all_of_them.after(progress, token) for token in all_of_them.next_tokens(progress)]
        progress = min(following, key=all_of_them.needed)
    assert not all_of_them.missing(progress)


# The search


@hypothesis_settings(max_examples=40, deadline=None)
@given(constraints=st.lists(phrases, min_size=1, max_size=3), beams=st.integers(1, 5), length=st.integers(10, 14))
def test_all_phrases_appear_where_there_is_room(
    model: Transformer, constraints: list[Phrases], beams: int, length: int
) -> None:
    best = write(model, constraints, num_beams=beams, max_new_tokens=length)[0]
    assert best.unmet == missing(constraints, best.tokens) == ()
    assert len(best.tokens) <= length


@pytest.mark.parametrize("early_stopping", [True, False, "never"])
@pytest.mark.parametrize("constraint", [((0, 3),), ((3,), (0, 0)), ((2, 3, 0),)])
def test_with_beams_for_all_it_is_an_exhaustive_search(constraint: Phrases, early_stopping: bool | str) -> None:
    """All texts of 3 tokens: the best one that has the phrase."""
    small = build(TINY.encoder_decoder(4), seed=3).double().eval()
    source, length = torch.tensor([[2, 3, 1]]), 3
    complete = list(product((0, 2, 3), repeat=length))  # min_new_tokens forbids the end token
    scores = {}
    with torch.no_grad():
        memory = small.encode(source)
        for text in complete:
            ids = torch.tensor([[START, *text[:-1]]])
            rows = small.logits(small.decode(ids, memory))[0].log_softmax(-1)
            scores[text] = float(rows[range(len(text)), list(text)].mean())
    met = {text: score for text, score in scores.items() if any(holds(text, phrase) for phrase in constraint)}
    request = Request(
        0,
        (2, 3, 1),
        (START,),
        settings(max_new_tokens=length, min_new_tokens=length, num_beams=64, early_stopping=early_stopping),
        constraints=(constraint,),
    )
    engine: SlotEngine[int] = SlotEngine(small, num_slots=1, num_beams=64)
    ((_, (best,)),) = engine.run([request])
    expected = max(met, key=lambda text: met[text])
    assert 0 < len(met) < len(scores)
    assert best.tokens == expected
    assert best.score == pytest.approx(met[expected], abs=1e-9)


@pytest.mark.parametrize(
    ("text", "left"), [([5, 6], ()), ([5, 7], (0,)), ([9, 5, 6], (0,)), ([9, 5, 6, 8, 6], ()), ([], (0,))]
)
def test_what_begins_a_text_counts_nowhere_else(text: list[int], left: tuple[int, ...]) -> None:
    assert missing([((8, 6), (TEXT_START, 5, 6))], text) == left


def test_a_forced_first_token_is_none_of_the_text(model: Transformer) -> None:
    constraints: list[Phrases] = [((TEXT_START, 5, 6),)]
    (best,) = write(model, constraints, forced_bos_token_id=3)
    assert best.tokens[:3] == (3, 5, 6)
    assert best.unmet == ()


def test_without_phrases_it_is_beam_search(model: Transformer) -> None:
    """What is impossible from the beginning is left out; every text that ends is kept, not the K best's alone."""
    constrained = write(model, [((END,),), ((5, END),)], num_beams=4, num_return_sequences=4)
    plain = write(model, [], num_beams=4, num_return_sequences=4)
    assert [each.unmet for each in constrained] == [(0, 1)] * 4
    assert [each.unmet for each in plain] == [()] * 4
    assert constrained[0].score >= plain[0].score


@pytest.mark.parametrize(
    ("options", "constraints", "unmet"),
    [
        ({"suppress_tokens": [5]}, [((5, 6),), ((7,),)], (0,)),
        ({"suppress_tokens": [5]}, [((5, 6), (6,)), ((7,),)], ()),
        ({"bad_words_ids": [[5, 6]]}, [((4, 5, 6),), ((5,),)], (0,)),
        ({"max_new_tokens": 3}, [((4,),), ((5, 6, 8),), ((7,),)], (1,)),
        ({"max_new_tokens": 3, "forced_bos_token_id": 8}, [((5, 6, 4),), ((7,),)], (0,)),
        # known when it is written only: the rule against repetition stands against it
        ({"no_repeat_ngram_size": 2}, [((5, 5, 5),), ((7,),)], (0,)),
    ],
)
def test_what_cannot_be_met_is_flagged(
    model: Transformer, options: dict[str, object], constraints: list[Phrases], unmet: tuple[int, ...]
) -> None:
    (best,) = write(model, constraints, **options)
    assert best.unmet == unmet
    assert len(best.tokens) <= 14
    for number, alternatives in enumerate(constraints):
        assert any(holds(best.tokens, phrase) for phrase in alternatives) == (number not in unmet)


def test_the_last_ones_are_given_up_where_there_is_no_room() -> None:
    """Room of 4: two tokens, then three that do not fit, then one."""
    assert possible([((5, 6),), ((7, 8, 9),), ((5,),)], settings(max_new_tokens=4)) == {0: ((5, 6),), 2: ((5,),)}


@hypothesis_settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.lists(phrases, max_size=2), st.integers(1, 3)), min_size=2, max_size=6))
def test_texts_side_by_side_are_those_written_alone(model: Transformer, texts: list[tuple[list[Phrases], int]]) -> None:
    requests = [
        Request(number, (3, 4 + number), (START,), settings(num_beams=beams), constraints=tuple(constraints))
        for number, (constraints, beams) in enumerate(texts)
    ]
    together = dict(write_all(model, requests, num_slots=3))
    assert sorted(together) == list(range(len(texts)))
    for request in requests:
        ((_, (alone,)),) = write_all(model, [request])
        (beside,) = together[request.key]
        assert alone.tokens == beside.tokens
        assert alone.unmet == beside.unmet
        assert alone.score == pytest.approx(beside.score, abs=1e-12)


def test_phrases_get_the_beams_that_they_need() -> None:
    assert widened(settings(), []).num_beams == 1
    assert widened(settings(), [((5,),)]).num_beams == 4
    assert widened(settings(num_beams=6), [((5,),)]).num_beams == 6
    assert widened(settings(), [((5, 6), (7, 8, 9)), ((5, 6),)]).num_beams == 8
    assert widened(settings(max_new_tokens=200), [((5,),)] * 150).num_beams == 64


def test_more_tokens_than_beams_are_written_all_the_same(model: Transformer) -> None:
    many = tuple(((token,),) for token in (3, 4, 5, 6, 7, 8))
    engine: SlotEngine[int] = SlotEngine(model, num_slots=1, num_beams=2)
    ((_, (best,)),) = engine.run([Request(0, (3, 4), (START,), settings(num_beams=2), constraints=many)])
    assert best.unmet == missing(many, best.tokens) == ()


def test_what_cannot_be_searched_for_is_refused(model: Transformer) -> None:
    with pytest.raises(RequestError, match="do_sample"):
        write(model, [((5,),)], do_sample=True)
    engine: SlotEngine[int] = SlotEngine(model, num_slots=1, num_beams=1)
    with pytest.raises(RequestError, match="2 beams at least"):
        engine.admit([Request(0, (3,), (START,), settings(), constraints=(((5,),),))])


# Beginnings


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("options", [{}, {"forced_bos_token_id": 9}, {"no_repeat_ngram_size": 1}])
def test_a_text_begins_as_it_is_told_to(model: Transformer, beams: int, options: dict[str, object]) -> None:
    forced = (9,) if "forced_bos_token_id" in options else ()
    free = settings(num_beams=beams, **options)
    beginning = (5, 5, 6)  # which the rule against repetition would forbid
    request = Request(0, (3, 4), (START,), free, beginnings=(beginning,))
    ((_, (best,)),) = write_all(model, [request])
    assert best.tokens[: len(forced) + 3] == (*forced, *beginning)
    assert len(best.tokens) > len(forced) + 3
    ((_, (other,)),) = write_all(model, [Request(0, (3, 4), (START,), free)])
    assert other.tokens[len(forced) : len(forced) + 3] != beginning


def test_of_several_beginnings_the_likeliest_is_taken(model: Transformer) -> None:
    alone = {}
    for beginning in [(5, 6), (7, 8), (5, 9, 10)]:
        request = Request(0, (3, 4), (START,), settings(max_new_tokens=3, num_beams=8), beginnings=(beginning,))
        ((_, (alone[beginning],)),) = write_all(model, [request])
    request = Request(0, (3, 4), (START,), settings(max_new_tokens=3, num_beams=8), beginnings=tuple(alone))
    ((_, (best,)),) = write_all(model, [request])
    assert best.tokens == max(alone.values(), key=lambda hypothesis: hypothesis.score).tokens


# Following a text


@pytest.mark.parametrize("options", [{}, {"do_sample": True}, {"max_new_tokens": 1}])
def test_a_text_is_followed_token_by_token(model: Transformer, options: dict[str, object]) -> None:
    followed: dict[int, list[int]] = {0: [], 1: []}
    requests = [
        Request(number, (3, 4 + number), (START,), settings(**options), on_token=followed[number].append)
        for number in range(2)
    ]
    written = {key: list(best.tokens) for key, (best,) in write_all(model, requests)}
    assert followed == written


def test_beams_cannot_be_followed(model: Transformer) -> None:
    engine: SlotEngine[int] = SlotEngine(model, num_slots=1, num_beams=2)
    with pytest.raises(RequestError, match="2 beams: they are revised"):
        engine.admit([Request(0, (3,), (START,), settings(num_beams=2), on_token=print)])
