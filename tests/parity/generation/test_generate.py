"""The same settings give the very tokens of upstream's ``generate``, for every prompt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.parity.families.reference import in_float64, make

from heedful.families import load_model
from heedful.generation import GenerationSettings, generate, parse_settings
from heedful.model import Transformer

V, PAD, EOS, NEW = 37, 0, 1, 12
PROMPTS = 8
"""For each model, number of beams and group of settings: 8 × 4 × 7 = 224 prompts a model."""

WIDTHS: dict[str, Any] = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_ffn_dim": 20,
    "decoder_ffn_dim": 24,
}
HEADS: dict[str, Any] = {"encoder_attention_heads": 2, "decoder_attention_heads": 4, "max_position_embeddings": 64}
IDS: dict[str, Any] = {"vocab_size": V, "pad_token_id": PAD, "eos_token_id": EOS, "bos_token_id": 2}
BOTH: dict[str, Any] = {**IDS, **WIDTHS, **HEADS, "decoder_start_token_id": 2, "forced_eos_token_id": None}
T5_START: dict[str, Any] = {"decoder_start_token_id": 2}
MODELS: dict[str, tuple[str, Callable[[], Any]]] = {
    "marian": ("MarianMTModel", lambda: transformers.MarianConfig(**BOTH)),
    "bart": ("BartForConditionalGeneration", lambda: transformers.BartConfig(**BOTH)),
    "mbart": ("MBartForConditionalGeneration", lambda: transformers.MBartConfig(**BOTH)),
    "pegasus": ("PegasusForConditionalGeneration", lambda: transformers.PegasusConfig(**BOTH)),
    "m2m_100": ("M2M100ForConditionalGeneration", lambda: transformers.M2M100Config(**BOTH)),
    "t5": (
        "T5ForConditionalGeneration",
        lambda: transformers.T5Config(**IDS, **T5_START, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2),
    ),
    "llama": (
        "LlamaForCausalLM",
        lambda: transformers.LlamaConfig(
            **IDS,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=24,
            max_position_embeddings=64,
        ),
    ),
}
GROUPS: dict[str, dict[str, Any]] = {
    "plain": {},
    "short": {"length_penalty": 0.3, "early_stopping": True},
    "long": {"length_penalty": 2.0, "early_stopping": "never"},
    "negative": {"length_penalty": -1.0, "early_stopping": False},
    "repetition": {"no_repeat_ngram_size": 2, "repetition_penalty": 1.3, "min_new_tokens": 3},
    "banned": {
        "bad_words_ids": [[5], [6, 7], [8, 8, 9]],
        "suppress_tokens": [9, 11],
        "begin_suppress_tokens": [12, 13],
    },
    "forced": {"forced_bos_token_id": 20, "forced_eos_token_id": EOS, "encoder_no_repeat_ngram_size": 1},
}


@dataclass(frozen=True)
class Pair:
    """A reference and ours, with the same weights."""

    reference: Any
    ours: Transformer


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Pair]:
    @cache
    def pair(name: str) -> Pair:
        architecture, config = MODELS[name]
        reference: Any = make(architecture, config())
        folder: Path = tmp_path_factory.mktemp(name)
        reference.save_pretrained(folder)
        return Pair(reference, load_model(folder))

    return pair


def ended(tokens: list[int]) -> list[int]:
    """Up to the first end token: what follows is filling."""
    return tokens[: tokens.index(EOS) + 1] if EOS in tokens else tokens


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("num_beams", [1, 2, 4, 8])
@pytest.mark.parametrize("name", MODELS)
def test_tokens_are_the_references(name: str, num_beams: int, group: str, pairs: Callable[[str], Pair]) -> None:
    pair, options = pairs(name), {"num_beams": num_beams, "max_new_tokens": NEW, **GROUPS[group]}
    both = pair.reference.config.is_encoder_decoder
    if not both:  # of these, upstream knows nothing where there is no encoder, or counts a prompt as written
        options = {key: value for key, value in options.items() if "encoder" not in key and "forced_bos" not in key}
    returned = min(num_beams, 3)
    ids = torch.randint(3, V, (PROMPTS, 6), generator=torch.Generator().manual_seed(num_beams))
    with torch.no_grad(), in_float64():
        written = pair.reference.generate(
            ids, attention_mask=torch.ones_like(ids), num_return_sequences=returned, do_sample=False, **options
        )
    start = 1 if both else ids.shape[1]
    expected = [ended(row[start:]) for row in written.tolist()]
    ours = generate(
        pair.ours,
        ids,
        settings=parse_settings(
            {**options, "num_return_sequences": returned, "eos_token_id": EOS, "decoder_start_token_id": 2}
        ),
    )
    assert [list(hypothesis.tokens) for row in ours for hypothesis in row] == expected


def test_scores_are_the_references(pairs: Callable[[str], Pair]) -> None:
    pair = pairs("marian")
    ids = torch.randint(3, V, (PROMPTS, 6), generator=torch.Generator().manual_seed(5))
    with torch.no_grad(), in_float64():
        written = pair.reference.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            num_beams=4,
            num_return_sequences=4,
            max_new_tokens=NEW,
            length_penalty=0.6,
            return_dict_in_generate=True,
            output_scores=True,
        )
    options = GenerationSettings(
        num_beams=4,
        num_return_sequences=4,
        max_new_tokens=NEW,
        length_penalty=0.6,
        eos_token_id=(EOS,),
        decoder_start_token_id=2,
    )
    ours = [hypothesis for row in generate(pair.ours, ids, settings=options) for hypothesis in row]
    scores = torch.tensor([hypothesis.score for hypothesis in ours], dtype=torch.float64)
    assert float((scores - written.sequences_scores).abs().max()) <= 1e-12
    for hypothesis in ours:
        sums = sum(hypothesis.log_probabilities) / len(hypothesis.tokens) ** 0.6
        assert hypothesis.score == pytest.approx(sums, abs=1e-12)


@given(data=st.data())
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("name", ["marian", "t5", "llama"])
def test_a_text_does_not_depend_on_what_is_written_beside_it(
    name: str, pairs: Callable[[str], Pair], data: st.DataObject
) -> None:
    """Texts of all lengths enter and leave a few slots as they come; each is what it is alone."""
    model = pairs(name).ours
    lengths = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=9))
    num_beams = data.draw(st.sampled_from([1, 3]))
    options = parse_settings(
        {
            "num_beams": num_beams,
            "max_new_tokens": data.draw(st.integers(1, 30)),
            "do_sample": data.draw(st.booleans()),
            "no_repeat_ngram_size": data.draw(st.sampled_from([0, 2])),
            "eos_token_id": [EOS, 5, 6, 7, 8],
            "decoder_start_token_id": 2,
        }
    )
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    rows = [torch.randint(3, V, (1, length), generator=generator) for length in lengths]
    width = max(lengths)
    ids, mask = torch.zeros(len(rows), width, dtype=torch.int64), torch.zeros(len(rows), width, dtype=torch.bool)
    for number, row in enumerate(rows):
        ids[number, : row.shape[1]], mask[number, : row.shape[1]] = row[0], True
    together = generate(model, ids, mask, options, num_slots=data.draw(st.integers(1, 4)))
    alone = [generate(model, row, settings=options)[0] for row in rows]
    assert [[h.tokens for h in row] for row in together] == [[h.tokens for h in row] for row in alone]
