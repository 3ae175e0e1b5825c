"""heedful.pipeline returns what the pipelines of transformers 4 returned.

Version 5 has them no more; what they did is written out here: tokenizer, ``generate``, ``decode``, one dictionary for
each sequence, and lists of dictionaries where each text has one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.parity.families.reference import in_float64
from tests.parity.test_text_to_text import CASES, TEXTS, Checkpoint, checkpoints

import heedful
from heedful.errors import RequestError

__all__ = ["checkpoints"]

Checkpoints = Callable[[str], Checkpoint]
PIPELINES = {
    "marian": "translation",
    "t5, translating": "translation_en_to_de",
    "bart": "summarization",
    "nllb": "translation",
}
"""A case, and the task it was asked by."""
NAMES = {"translation": "translation_text", "translation_en_to_de": "translation_text", "summarization": "summary_text"}


def removed_pipeline(name: str, checkpoint: Checkpoint, text: str, **options: Any) -> list[dict[str, str]]:
    """What the pipeline of version 4 gave for one text."""
    case, tokenizer = CASES[name], checkpoint.tokenizer
    told = {argument: tokenizer.convert_tokens_to_ids(token) for argument, token in case.told.items()}
    ids = torch.tensor([tokenizer(case.prefix + text)["input_ids"]])
    with torch.no_grad(), in_float64():
        written = checkpoint.reference.generate(ids, **told, **options)
    texts = [tokenizer.decode(one, skip_special_tokens=True).strip() for one in written]
    return [{NAMES[PIPELINES[name]]: one} for one in texts]


@pytest.fixture(params=PIPELINES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def languages(name: str) -> dict[str, str]:
    source, target = CASES[name].languages or ("", "")
    return {"src_lang": source, "tgt_lang": target} if name == "nllb" else {}


@pytest.fixture
def pipe(name: str, checkpoints: Checkpoints, languages: dict[str, str]) -> Any:
    return heedful.pipeline(PIPELINES[name], model=checkpoints(name).folder, device=-1, dtype="float64", **languages)


OPTIONS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "beams": {"num_beams": 3, "length_penalty": 0.5},
    "lengths": {"max_length": 12, "min_length": 4},
    "new tokens": {"max_new_tokens": 7, "num_beams": 2, "early_stopping": True},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_dictionaries_are_those_of_the_removed_pipelines(
    name: str,
    pipe: Any,
    options: dict[str, Any],
    checkpoints: Checkpoints,
) -> None:
    particular = {"no_repeat_ngram_size": 1, "num_beams": 1} | options
    wanted = [removed_pipeline(name, checkpoints(name), text, **particular) for text in TEXTS[:5]]
    assert pipe(TEXTS[:5], **particular) == [one for (one,) in wanted]
    assert pipe(TEXTS[0], **particular) == wanted[0]
    assert all(text for (one,) in wanted for text in one.values())


def test_several_sequences_are_a_list_for_each_text(name: str, pipe: Any, checkpoints: Checkpoints) -> None:
    options = {"num_beams": 3, "num_return_sequences": 2, "no_repeat_ngram_size": 1}
    wanted = [removed_pipeline(name, checkpoints(name), text, **options) for text in TEXTS[:3]]
    assert pipe(TEXTS[:3], **options) == wanted
    assert pipe(TEXTS[0], **options) == wanted[0]
    assert [len(one) for one in wanted] == [2, 2, 2]


def test_what_changes_no_answer_changes_none(pipe: Any) -> None:
    usual = pipe(TEXTS[:3])
    assert pipe(tuple(TEXTS[:3]), batch_size=2, num_workers=1, use_cache=True, return_text=True) == usual
    assert pipe(TEXTS[:3], clean_up_tokenization_spaces=True, truncation=True) == usual
    assert pipe([]) == []


def test_what_is_given_at_the_beginning_is_the_usual(name: str, checkpoints: Checkpoints, languages: Any) -> None:
    task = heedful.load(checkpoints(name).folder, task=CASES[name].job)
    short = heedful.pipeline(PIPELINES[name], model=task, max_new_tokens=3, **languages)
    long = heedful.pipeline(PIPELINES[name], model=task, **languages)
    card = task.card
    assert short(TEXTS[0]) == long(TEXTS[0], max_new_tokens=3) != long(TEXTS[0])
    assert task.card == card


def test_what_cannot_be_is_refused(checkpoints: Checkpoints) -> None:
    folder = checkpoints("marian").folder
    with pytest.raises(RequestError, match="did you mean summarization"):
        heedful.pipeline("summarisation", model=folder)
    with pytest.raises(RequestError, match="no model is given for translation"):
        heedful.pipeline("translation")
    with pytest.raises(RequestError, match="did you mean num_beams"):
        heedful.pipeline("translation", model=folder, num_beam=2)
    pipe = heedful.pipeline("translation", model=folder)
    with pytest.raises(RequestError, match="for translation, not for summarization"):
        heedful.pipeline("summarization", model=pipe.task)
    with pytest.raises(RequestError, match="text 2 is int 3, and no string"):
        pipe(["one", 3])  # type: ignore[list-item]
    with pytest.raises(RequestError, match="max_length is 'long', and no number"):
        pipe("one", max_length="long")
    with pytest.raises(RequestError, match=r"text 1 has [\d,]+ tokens more than the 64"):
        pipe(" ".join(TEXTS * 9), truncation=False)
    assert pipe(" ".join(TEXTS * 9))
    with pytest.raises(RequestError, match="positions for 64"):
        pipe("one", max_length=100)
