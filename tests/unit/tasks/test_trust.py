"""How far answers can be trusted: a model that was trained in moments where each word's counterpart is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heedful.generation import Request, SlotEngine
from heedful.tasks import TextAnswer, Translator
from heedful.tasks.text_to_text.trust import Case, Findings, Finished, TrustSettings, examine, fit_trust, source_spans
from heedful.tasks.text_to_text.trust.alignment import AlignmentSettings, usual_alignment
from heedful.tasks.text_to_text.trust.attention import Reading
from heedful.tasks.text_to_text.trust.confidence import (
    ConfidenceModel,
    calibration_error,
    fit_confidence,
    shared_words,
)
from heedful.tasks.text_to_text.trust.signals import Signals, Usual
from heedful.training import train

COLOURS = {"red": "rot", "green": "grün", "blue": "blau", "white": "weiß"}
NOUNS = {
    "house": "haus",
    "tree": "baum",
    "cat": "katze",
    "dog": "hund",
    "bird": "vogel",
    "fish": "fisch",
    "stone": "stein",
    "river": "fluss",
    "bread": "brot",
    "moon": "mond",
}


@dataclass(frozen=True)
class Pair:
    """A text, its translation, and which word of it each word of the translation stands for."""

    source: str
    target: str
    links: frozenset[tuple[int, int]]


def pairs(count: int, *, seed: int) -> list[Pair]:
    """Nouns, some with a colour before them that goes behind them, and a stop at the last word."""
    chance, made = Random(seed), []
    for number in range(count):
        source: list[str] = []
        target: list[str] = []
        links = set()
        for noun in chance.sample(sorted(NOUNS), 1 + number % 3):
            place = len(source)
            if chance.random() < 0.6:
                colour = chance.choice(sorted(COLOURS))
                source += [colour, noun]
                target += [NOUNS[noun], COLOURS[colour]]
                links |= {(place, place + 1), (place + 1, place)}
            else:
                source.append(noun)
                target.append(NOUNS[noun])
                links.add((place, place))
        made.append(Pair(" ".join(source) + ".", " ".join(target) + ".", frozenset(links)))
    return made


@dataclass(frozen=True)
class Toy:
    """A trained translator, and what was found on texts that it never saw."""

    task: Translator
    trust: TrustSettings
    fresh: list[Pair]

    def case(self, source: str, tokens: Sequence[int]) -> Case:
        (encoding,) = self.task.tokenizer.encode_batch([source])
        start = self.task.card.generation.decoder_start_token_id
        assert start is not None
        finished = Finished(tuple(encoding.ids), (start,), tuple(tokens))
        return Case.of(finished, source, source_spans(encoding), self.task.tokenizer)

    def right(self, pair: Pair) -> Case:
        (encoding,) = self.task.tokenizer.encode_batch([pair.target])
        words = [token for token, special in zip(encoding.ids, encoding.special, strict=True) if not special]
        return self.case(pair.source, [*words, self.task.card.generation.eos_token_id[0]])

    def answered(self, some: Sequence[Pair]) -> list[Case]:
        search = self.task.card.generation
        (start,) = {search.decoder_start_token_id or 0}
        encodings = self.task.tokenizer.encode_batch([pair.source for pair in some])
        requests = [Request(n, tuple(encoding.ids), (start,), search) for n, encoding in enumerate(encodings)]
        engine: SlotEngine[int] = SlotEngine(self.task.model, num_slots=16, num_beams=search.num_beams)
        found = dict(engine.run(requests))
        return [self.case(pair.source, found[number][0].tokens) for number, pair in enumerate(some)]

    def findings(self, cases: Sequence[Case], trust: TrustSettings | None = None) -> list[Findings]:
        return examine(self.task.model, cases, trust or self.trust, keeps_numbers=True)

    def error_rate(self, trust: TrustSettings) -> float:
        """1 - 2 |A ∩ G| / (|A| + |G|) over right translations of fresh texts (Och and Ney 2003, section 3.3)."""
        findings = self.findings([self.right(pair) for pair in self.fresh], trust)
        hits = sum(len(pair.links & set(f.alignment)) for pair, f in zip(self.fresh, findings, strict=True))
        return 1 - 2 * hits / sum(len(p.links) + len(f.alignment) for p, f in zip(self.fresh, findings, strict=True))

    def attending(self, alignment: AlignmentSettings) -> TrustSettings:
        return self.trust.model_copy(update={"alignment": alignment})


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    folder = tmp_path_factory.mktemp("toy")
    for name, some in (("train", pairs(500, seed=0)), ("validation", pairs(30, seed=1))):
        lines = [json.dumps({"text": pair.source, "target": pair.target}) for pair in some]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    run = train(
        {
            "task": {
                "job": "translation",
                "max_length": 64,
                "max_target_length": 32,
                "generation": {"num_beams": 2},
                "objective": {"label_smoothing": 0.0},
            },
            "data": {"train": folder / "train.jsonl", "validation": folder / "validation.jsonl"},
            "tokenizer": {"kind": "bpe", "vocabulary_size": 450},
            "model": {"d_model": 48, "num_layers": 2, "num_heads": 2, "d_ff": 96, "dropout": 0.0},
            "training": {
                "epochs": 40,
                "learning_rate": 0.01,
                "tokens_per_batch": 800,
                "evaluate_every": 1000,
                "threads": 1,
            },
            "output": folder / "run",
        }
    )
    assert isinstance(run.task, Translator)
    nothing = TrustSettings(alignment=usual_alignment(run.task.model), usual=Usual())
    untold = Toy(run.task, nothing, pairs(120, seed=2))
    held_out = pairs(200, seed=1)
    trust = fit_trust(run.task.model, untold.answered(held_out), [untold.right(pair) for pair in held_out])
    return replace(untold, trust=trust)


# Alignments


def test_the_chosen_attention_finds_the_counterparts(toy: Toy) -> None:
    diagonal = [{(n, n) for n in range(len(pair.target.split()))} for pair in toy.fresh]
    hits = sum(len(pair.links & links) for pair, links in zip(toy.fresh, diagonal, strict=True))
    assert 1 - hits / sum(map(len, diagonal)) > 0.5, "word order alone does not tell"
    assert toy.error_rate(toy.trust) < 0.2
    assert toy.trust.alignment.agreement is not None
    assert toy.trust.alignment.agreement > 0.8


def test_no_other_layer_head_or_shift_would_be_much_better(toy: Toy) -> None:
    rates: dict[tuple[int, tuple[int, ...], bool], float] = {
        (layer, heads, shift): toy.error_rate(toy.attending(AlignmentSettings(layer=layer, heads=heads, shift=shift)))
        for layer in (0, 1)
        for heads in ((0,), (1,), (0, 1))
        for shift in (False, True)
    }
    chosen = toy.trust.alignment
    assert rates[chosen.layer, chosen.heads, chosen.shift] < min(rates.values()) + 0.03
    assert max(rates.values()) > 0.4, "the choice matters"


def test_with_shift_a_token_stands_for_what_is_looked_at_when_it_is_read() -> None:
    heads = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    reading = Reading(np.zeros(4), (heads,))
    written = AlignmentSettings(layer=0, heads=(1,)).weights(reading)
    read = AlignmentSettings(layer=0, heads=(1,), shift=True).weights(reading)
    np.testing.assert_array_equal(written, heads[1])
    np.testing.assert_array_equal(read[:-1], written[1:])
    np.testing.assert_array_equal(read[-1], written[-1], "the last token is never read")
    np.testing.assert_array_equal(AlignmentSettings(layer=0, heads=(0, 1)).weights(reading), heads.mean(axis=0))


def test_with_too_few_texts_nothing_is_chosen(toy: Toy) -> None:
    some = toy.fresh[:5]
    trust = fit_trust(toy.task.model, toy.answered(some), [toy.right(pair) for pair in some])
    assert trust.alignment == usual_alignment(toy.task.model)
    assert trust.alignment == AlignmentSettings(layer=0, heads=(0, 1)), "of two layers the last but one"
    assert trust.confidence is None
    assert "too few" in trust.notes[0]
    assert len(trust.notes) == 1


# What an answer carries


def test_pieces_and_probabilities_are_those_of_the_text(toy: Toy) -> None:
    cases = toy.answered(toy.fresh[:20])
    for case, found in zip(cases, toy.findings(cases), strict=True):
        assert "".join(found.tokens) == case.answer
        assert len(found.tokens) == len(found.probabilities)
        assert all(0 < probability <= 1 for probability in found.probabilities)
        sources, answers = len(case.source.split()), len(case.answer.split())
        assert all(0 <= source < sources and 0 <= word < answers for source, word in found.alignment)
        assert {word for _, word in found.alignment} == set(range(answers)), "each word stands for some"


def test_findings_are_added_to_what_an_answer_says_already(toy: Toy) -> None:
    (case,) = toy.answered(toy.fresh[:1])
    (found,) = toy.findings([case])
    answer = replace(found, warnings=("second",)).added_to(TextAnswer(case.answer, -0.5, 3, warnings=("first",)))
    assert answer.warnings == ("first", "second")
    assert (answer.text, answer.score, answer.cut_tokens) == (case.answer, -0.5, 3)
    assert (answer.tokens, answer.probabilities) == (found.tokens, found.probabilities)
    assert (answer.confidence, answer.alignment) == (found.confidence, found.alignment)
    assert answer.pharaoh == " ".join(f"{source}-{word}" for source, word in found.alignment)


def test_without_held_out_texts_there_is_no_confidence_but_an_alignment(toy: Toy) -> None:
    cases = toy.answered(toy.fresh[:20])
    bare = examine(toy.task.model, cases, None, keeps_numbers=True)
    usual = toy.findings(cases, toy.attending(usual_alignment(toy.task.model)))
    for found, same in zip(bare, usual, strict=True):
        assert found.confidence is None
        assert found.alignment == same.alignment
        assert found.probabilities == same.probabilities


def test_what_was_found_outlives_a_file(toy: Toy, tmp_path: Path) -> None:
    (tmp_path / "trust.json").write_text(toy.trust.model_dump_json(), encoding="utf-8")
    assert TrustSettings.model_validate_json((tmp_path / "trust.json").read_text(encoding="utf-8")) == toy.trust
    assert "agrees with" in toy.trust.notes[0]
    assert "calibration error" in toy.trust.notes[1]


# Confidence and warnings


def test_confidence_is_what_answers_share_with_references(toy: Toy) -> None:
    cases = toy.answered(toy.fresh)
    confidence = np.array([found.confidence for found in toy.findings(cases)])
    truth = np.array([shared_words(c.answer, pair.target) for c, pair in zip(cases, toy.fresh, strict=True)])
    assert calibration_error(confidence, truth) < 0.08
    assert toy.trust.confidence is not None
    assert toy.trust.confidence.calibration_error < 0.08


def test_an_answer_to_another_text_is_doubted(toy: Toy) -> None:
    good = [toy.right(pair) for pair in toy.fresh]
    strangers = [
        toy.case(pair.source, other.finished.tokens)
        for pair, other in zip(toy.fresh, [*good[1:], good[0]], strict=True)
        if pair.target != other.answer
    ]
    trusted, doubted = (
        np.mean([found.confidence or 0.0 for found in toy.findings(cases)]) for cases in (good, strangers)
    )
    assert trusted > 0.75
    assert doubted < 0.3


def test_good_answers_are_rarely_warned_of_and_broken_ones_often(toy: Toy) -> None:
    longer = [pair for pair in toy.fresh if len(pair.links) >= 4]
    good = [toy.right(pair) for pair in longer]
    end = toy.task.card.generation.eos_token_id[0]
    cut = [toy.case(case.source, (case.finished.tokens[0], end)) for case in good]
    looping = [toy.case(case.source, case.finished.tokens[:1] * 12 + (end,)) for case in good]

    def warned(cases: Sequence[Case]) -> float:
        return float(np.mean([bool(found.warnings) for found in toy.findings(cases)]))

    assert warned(good) < 0.1
    assert warned(cut) > 0.9
    assert warned(looping) == 1


@pytest.mark.parametrize("sharpness", [0.5, 2.0])
def test_confidence_is_calibrated_where_the_truth_is_known(sharpness: float) -> None:
    chance = np.random.default_rng(0)
    signals = [signal(-abs(chance.normal()), length=chance.normal()) for _ in range(4000)]
    truth = np.array([1 / (1 + np.exp(-2 - sharpness * one.mean_log_probability)) for one in signals])
    shares = chance.binomial(8, truth) / 8
    model = fit_confidence(signals[:2000], shares[:2000].tolist())
    assert model is not None
    confidence = np.array([model.of(one) for one in signals[2000:]])
    assert calibration_error(confidence, shares[2000:]) < 0.02
    assert np.abs(confidence - truth[2000:]).max() < 0.05
    assert model.calibration_error < 0.02
    assert model.num_answers == 2000


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_answers_that_are_all_right_or_all_wrong_can_be_fitted(share: float) -> None:
    model = fit_confidence([signal(-number / 60) for number in range(60)], [share] * 60)
    assert model is not None
    assert model.of(signal(-0.5)) == pytest.approx(share, abs=0.05)
    assert model.correlation == 0


@given(
    st.lists(
        st.tuples(*[st.floats(-5, 0), st.floats(0, 1), st.floats(-6, 6), st.floats(0, 1)]), min_size=50, max_size=60
    )
)
@settings(max_examples=25, deadline=None)
def test_no_bad_sign_is_ever_taken_for_a_good_one(rows: list[tuple[float, float, float, float]]) -> None:
    signals = [signal(mean, mean * 2, coverage, length) for mean, coverage, length, _ in rows]
    model = fit_confidence(signals, [share for *_, share in rows])
    assert model is not None
    base = signal(-1.0, -3.0, 0.5, 1.0)
    for worse in (signal(-2, -3, 0.5, 1), signal(-1, -5, 0.5, 1), signal(-1, -3, 0.1, 1), signal(-1, -3, 0.5, -4)):
        assert 0 <= model.of(worse) <= model.of(base) + 1e-12 <= 1 + 1e-12
    assert ConfidenceModel.model_validate_json(model.model_dump_json()) == model


@pytest.mark.parametrize(
    ("answer", "reference", "share"),
    [
        ("the cat sat", "the cat sat", 1.0),
        ("The cat, the dog.", "the cat", 0.5),
        ("the the the", "the cat", 1 / 3),
        ("天气好", "天好", 2 / 3),
        ("", "the cat", 0.0),
        ("", "", 1.0),
        ("!", "the", 0.0),
    ],
)
def test_words_that_are_shared_are_counted_as_often_as_both_have_them(
    answer: str, reference: str, share: float
) -> None:
    assert shared_words(answer, reference) == pytest.approx(share)


def signal(mean: float, lowest: float = -2.0, coverage: float = 0.8, length: float = 0.0) -> Signals:
    return Signals(mean, lowest, coverage, length, looked_at=0.9)
