"""Settings of generation: what is impossible is refused, and upstream's files are understood."""

from __future__ import annotations

from typing import Any

import pytest

from heedful.errors import CheckpointError, RequestError
from heedful.generation import GenerationSettings, parse_settings, read_generation_config


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"num_beams": 0}, "num_beams"),
        ({"num_beams": 2, "num_return_sequences": 3}, "3 hypotheses cannot be returned of 2 beams"),
        ({"max_new_tokens": 3, "min_new_tokens": 4}, "min_new_tokens 4 exceeds max_new_tokens 3"),
        ({"temperature": 0}, "temperature"),
        ({"early_stopping": "often"}, "early_stopping"),
        ({"bad_words_ids": [[]]}, "bad_words_ids"),
        ({"num_beems": 4}, "did you mean num_beams?"),
    ],
)
def test_impossible_settings_are_refused(data: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_settings(data)
    assert words in caught.value.message


def test_one_token_stands_for_a_list_of_one() -> None:
    settings = parse_settings({"eos_token_id": 2, "suppress_tokens": None})
    assert settings.eos_token_id == (2,)
    assert settings.suppress_tokens == ()


def test_upstreams_file_is_understood() -> None:
    """Its lengths count the start token; keys that concern something else are left aside."""
    data = {
        "_from_model_config": True,
        "transformers_version": "4.30.0",
        "bos_token_id": 0,
        "pad_token_id": 58100,
        "eos_token_id": 0,
        "decoder_start_token_id": 58100,
        "bad_words_ids": [[58100]],
        "forced_eos_token_id": 0,
        "max_length": 512,
        "min_length": 11,
        "num_beams": 4,
        "early_stopping": None,
    }
    settings = read_generation_config(data, name="it")
    assert (settings.max_new_tokens, settings.min_new_tokens, settings.num_beams) == (511, 10, 4)
    assert (settings.eos_token_id, settings.forced_eos_token_id, settings.bad_words_ids) == ((0,), (0,), ((58100,),))
    assert settings.early_stopping is False


def test_a_damaged_file_of_upstreams_is_refused() -> None:
    with pytest.raises(CheckpointError, match="the file has 1 fault"):
        read_generation_config({"num_beams": "many"}, name="the file")


@pytest.mark.parametrize(("form", "score"), [("average", -8 / 4**0.6), ("gnmt", -8 / 1.5**0.6)])
def test_scores_are_normalised_as_the_papers_say(form: str, score: float) -> None:
    settings = parse_settings({"length_penalty": 0.6, "length_normalization": form})
    assert settings.normalised(-8.0, 4) == pytest.approx(score)


def test_settings_read_and_write_json() -> None:
    settings = parse_settings({"num_beams": 3, "bad_words_ids": [[1, 2]], "early_stopping": "never"})
    assert GenerationSettings.model_validate_json(settings.model_dump_json()) == settings
