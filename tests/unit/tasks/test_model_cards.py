"""The model card of what writes; that of a classifier is tested with its folders."""

from __future__ import annotations

from typing import Any

import yaml

from heedful.generation import GenerationSettings
from heedful.model import UniformSpec, build
from heedful.tasks.text_to_text.card import model_card
from heedful.tasks.text_to_text.settings import PromptSettings, TextToTextCard

MODEL = build(UniformSpec(d_model=8, num_layers=1, num_heads=2).decoder(30), seed=0)


def card(**fields: Any) -> str:
    generation = GenerationSettings(max_new_tokens=20, **fields.pop("search", {}))
    given = {"job": "translation", "max_length": 64, "max_target_length": 32, "generation": generation, **fields}
    return model_card(TextToTextCard.model_validate(given), MODEL, "mine")


def test_metadata_name_the_job() -> None:
    for job in ("translation", "summarization"):
        _, metadata, rest = card(job=job).split("---\n", 2)
        assert yaml.safe_load(metadata)["pipeline_tag"] == job
        assert rest.startswith("\n# mine\n")
    assert 'summarizer = heedful.load("mine")' in card(job="summarization")


def test_it_says_what_is_read_and_how_answers_are_searched_for() -> None:
    count = sum(parameter.numel() for parameter in MODEL.parameters())
    assert f"a Transformer of {count:,} parameters (width 8). It reads texts of up to 64 tokens" in card()
    assert "writes up to 20, greedily." in card()
    assert "writes up to 20, with 4 beams." in card(search={"num_beams": 4})
    assert "writes up to 20, at random." in card(search={"do_sample": True})
    assert "Languages: from any to de." in card(target_language="de")


def test_it_shows_the_prompt_and_the_figures() -> None:
    text = card(prompt=PromptSettings(template="To German: ```{text}```"), results={"test": {"bleu": "30.1 (29–31)"}})
    assert "What it reads:\n\n````text\nTo German: ```{text}```\n````" in text
    assert "What a user says to it" in card(prompt="chat")
    assert "## Results on the test data" in text
    assert "| bleu | 30.1 (29–31) |" in text
