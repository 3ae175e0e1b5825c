"""Subword regularisation."""

from __future__ import annotations

from functools import cache
from random import Random

import pytest
import tokenizers as hf
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import models

from heedful.data import read_rows
from heedful.errors import UnsupportedError
from heedful.text import Encoding, Tokenizer, TokenizerKind, TokenizerSettings
from heedful.text.regularisation import MAX_WORD, SubwordSampler

SAMPLED = [TokenizerKind.BPE, TokenizerKind.UNIGRAM, TokenizerKind.WORDPIECE]


@cache
def corpus() -> tuple[str, ...]:
    return tuple(row.values["text"] for row in read_rows("helpdesk:validation"))


@cache
def trained(kind: TokenizerKind) -> Tokenizer:
    settings = TokenizerSettings(kind=kind, vocabulary_size=1500, lowercase=True, nfkc=True)
    return Tokenizer.train(corpus(), settings)


def sample(tokenizer: Tokenizer, text: str, dropout: float) -> Encoding:
    """What the sampler makes of a text, which at no dropout :class:`Tokenizer` does not ask."""
    return Encoding.of(SubwordSampler(tokenizer._backend).encode(text, None, dropout, Random(0)))


@pytest.mark.parametrize("kind", SAMPLED)
def test_without_dropout_the_sampler_does_what_the_library_does(kind: TokenizerKind) -> None:
    tokenizer = trained(kind)
    for text, encoding in zip(corpus(), tokenizer.encode_batch(corpus()), strict=True):
        assert sample(tokenizer, text, 0.0) == encoding


@pytest.mark.parametrize("kind", SAMPLED)
def test_so_it_does_on_any_text(kind: TokenizerKind) -> None:
    tokenizer = trained(kind)

    @given(st.text(st.sampled_from("aehlopt 密码登录☃😀ﬁＡ<s>\n"), max_size=40) | st.text())
    @example("x" * 300)
    @example("密码" * 300)
    def check(text: str) -> None:
        assert [sample(tokenizer, text, 0.0)] == tokenizer.encode_batch([text])

    check()


@pytest.mark.parametrize("kind", SAMPLED)
def test_a_seed_repeats_and_another_differs(kind: TokenizerKind) -> None:
    tokenizer = trained(kind)
    texts = corpus()
    seeds = range(7, 7 + len(texts))
    first = tokenizer.encode_batch(texts, dropout=0.2, seeds=seeds)
    assert first == tokenizer.encode_batch(texts, dropout=0.2, seeds=seeds)
    assert first != tokenizer.encode_batch(texts, dropout=0.2, seeds=seeds[::-1])
    alone = tokenizer.encode_batch(texts[-1:], dropout=0.2, seeds=seeds[-1:])
    assert alone == first[-1:]
    assert first != tokenizer.encode_batch(corpus())


@pytest.mark.parametrize("kind", SAMPLED)
def test_a_sample_is_the_same_text_in_more_tokens(kind: TokenizerKind) -> None:
    tokenizer = trained(kind)
    plain, sampled = tokenizer.encode_batch(corpus()), tokenizer.encode_batch(corpus(), dropout=0.3)
    assert [tokenizer.decode(e.ids) for e in sampled] == [tokenizer.decode(e.ids) for e in plain]
    assert sum(map(len, sampled)) > 1.1 * sum(map(len, plain))
    for text, encoding in zip(corpus(), sampled, strict=True):
        ends = [end for _, end in encoding.offsets[1:-1]]
        assert ends == sorted(ends)
        assert ends[-1] == len(text.rstrip())


@pytest.mark.parametrize("kind", SAMPLED)
def test_the_share_of_longer_pieces_falls_with_dropout(kind: TokenizerKind) -> None:
    tokenizer = trained(kind)
    lengths = [sum(map(len, tokenizer.encode_batch(corpus(), dropout=p))) for p in (0.0, 0.1, 0.5, 0.999)]
    assert lengths == sorted(set(lengths))


@pytest.mark.parametrize("kind", SAMPLED)
def test_pairs_are_sampled_too(kind: TokenizerKind) -> None:
    tokenizer = trained(kind)
    (pair,) = tokenizer.encode_batch(corpus()[:1], corpus()[1:2], dropout=0.3)
    assert pair.token_types[-1] == 1
    assert sum(pair.special) == 3
    assert tokenizer.decode(pair.ids).split() != tokenizer.decode(pair.ids[: pair.token_types.index(1)]).split()


def test_long_runs_of_bytes_are_sampled_in_linear_time() -> None:
    text = "密码忘了怎么办" * 3000
    tokenizer = trained(TokenizerKind.BPE)
    assert len(text.encode()) > 200 * MAX_WORD
    (encoding,) = tokenizer.encode_batch([text], dropout=0.1)
    assert tokenizer.decode(encoding.ids) == text


@pytest.mark.parametrize("kind", SAMPLED)
def test_what_is_remembered_changes_nothing(kind: TokenizerKind, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same random numbers give the same tokens, from the hundredth look-up as from a sampler that knows nothing."""
    backend = trained(kind)._backend
    monkeypatch.setattr("heedful.text.regularisation.MAX_REMEMBERED", 500)
    forgetful = SubwordSampler(backend)
    for dropout in (0.1, 0.6):
        for seed, text in enumerate(corpus()[:150]):
            fresh = SubwordSampler(backend).encode(text, None, dropout, Random(seed))
            again = [forgetful.encode(text, None, dropout, Random(seed)) for _ in range(2)]
            assert [each.ids for each in again] == [fresh.ids] * 2
            assert [each.offsets for each in again] == [fresh.offsets] * 2


def test_bpe_draws_each_merge_anew_at_every_step() -> None:
    """Of one possible merge, the share of words that get it is 1 - dropout (Provilkov et al., algorithm 1)."""
    backend = hf.Tokenizer(models.BPE(vocab={"a": 0, "b": 1, "ab": 2}, merges=[("a", "b")]))
    backend.pre_tokenizer = hf.pre_tokenizers.WhitespaceSplit()
    encoding = SubwordSampler(backend).encode("ab " * 4000, None, 0.25, Random(0))
    assert encoding.tokens.count("ab") / 4000 == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize("variant", ["end_of_word_suffix", "continuing_subword_prefix"])
def test_variants_that_the_sampler_does_not_know_are_refused(variant: str) -> None:
    backend = hf.Tokenizer(models.BPE(vocab={"a": 0}, merges=[], **{variant: "@@"}))
    with pytest.raises(UnsupportedError):
        SubwordSampler(backend)


def test_a_tokenizer_that_cuts_no_words_first_is_sampled_too() -> None:
    vocabulary = {"a": 0, "b": 1, "ab": 2}
    backend = hf.Tokenizer(models.BPE(vocabulary, [("a", "b")]))
    samples = {tuple(SubwordSampler(backend).encode("abab", None, 0.5, Random(seed)).tokens) for seed in range(40)}
    assert samples == {("ab", "ab"), ("a", "b", "ab"), ("ab", "a", "b"), ("a", "b", "a", "b")}


def test_characters_can_be_written_in_one_way_only() -> None:
    with pytest.raises(UnsupportedError, match="dropout has nothing to drop"):
        trained(TokenizerKind.CHARACTERS).encode_batch(["text"], dropout=0.1)
