"""A text is followed while it is written: its pieces make the text, and none splits a character."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heedful.data import read_rows
from heedful.errors import RequestError
from heedful.generation import Request, generate, parse_settings
from heedful.generation.search import Hypothesis
from heedful.model import UniformSpec, build
from heedful.tasks.text_to_text.streaming import TextStream, stream_text
from heedful.text import Tokenizer, TokenizerKind, TokenizerSettings

TINY = UniformSpec(d_model=8, num_layers=1, num_heads=2, d_ff=12)


@cache
def tokenizer(kind: TokenizerKind) -> Tokenizer:
    texts = [row.values["text"] for row in read_rows("helpdesk:validation")]
    return Tokenizer.train(texts, TokenizerSettings(kind=kind, vocabulary_size=1000))


def pieces(stream: TextStream, tokens: list[int]) -> list[str]:
    return [*[stream.push(token) for token in tokens], stream.finish()]


@pytest.mark.parametrize("kind", list(TokenizerKind))
@pytest.mark.parametrize("text", ["my password, please: 密码 naïve", " a  b ", "🙂 emoji 🙂🙂", "完", ""])
def test_the_pieces_make_the_text(kind: TokenizerKind, text: str) -> None:
    (encoding,) = tokenizer(kind).encode_batch([text])
    told = pieces(TextStream(tokenizer(kind)), encoding.ids)
    assert "".join(told) == tokenizer(kind).decode(encoding.ids).strip()
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(told)
    assert not any(piece.endswith(" ") for piece in told)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 999), max_size=12))
def test_whatever_is_written_can_be_followed(tokens: list[int]) -> None:
    """Bytes that are no character are told too, when it is certain that nothing mends them."""
    told = pieces(TextStream(tokenizer(TokenizerKind.BPE)), tokens)
    assert "".join(told) == tokenizer(TokenizerKind.BPE).decode(tokens).strip()


def test_a_word_is_told_as_soon_as_it_stands() -> None:
    stream = TextStream(tokenizer(TokenizerKind.BPE))
    (encoding,) = tokenizer(TokenizerKind.BPE).encode_batch(["the password please"])
    told = [stream.push(token) for token in encoding.ids]
    assert sum(map(bool, told)) >= 3


@pytest.mark.parametrize("options", [{}, {"do_sample": True, "seed": 3}, {"prompt_lookup_num_tokens": 3}])
def test_a_model_is_followed(options: dict[str, object]) -> None:
    bpe = tokenizer(TokenizerKind.BPE)
    model = build(TINY.encoder_decoder(bpe.vocabulary_size), seed=0).eval()
    greedy = parse_settings({"decoder_start_token_id": 0, "max_new_tokens": 20, **options})
    stream = stream_text(model, Request(0, (5, 6, 7), (0,), greedy), bpe)
    told, hypotheses = [], None
    while hypotheses is None:
        try:
            told.append(next(stream))
        except StopIteration as end:
            hypotheses = end.value
    (best,) = hypotheses
    assert isinstance(best, Hypothesis)
    assert "".join(told) == bpe.decode(best.tokens).strip()
    assert len(told) > 3
    assert generate(model, torch.tensor([[5, 6, 7]]), settings=greedy)[0][0].tokens == best.tokens


def test_beams_cannot_be_followed() -> None:
    bpe = tokenizer(TokenizerKind.BPE)
    model = build(TINY.encoder_decoder(bpe.vocabulary_size), seed=0).eval()
    two = parse_settings({"decoder_start_token_id": 0, "num_beams": 2})
    with pytest.raises(RequestError, match="2 beams"):
        next(stream_text(model, Request(0, (5,), (0,), two), bpe))
