"""Training a tokenizer of each kind."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import tokenizers as hf
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from heedful.text.settings import TokenizerKind, TokenizerSettings
from heedful.text.unigram import train_unigram

PAD, UNK, START, END, MASK = "<pad>", "<unk>", "<s>", "</s>", "<mask>"
ROLES = {"pad": PAD, "unk": UNK, "bos": START, "eos": END, "cls": START, "sep": END, "mask": MASK}
"""Role to special token: the first token of a text is also where a model may gather what the text means."""

SPECIAL = (PAD, UNK, START, END, MASK)
MIN_FREQUENCY = 2
"""A merge seen once is chance, not a word."""
ALPHABET_SHARE = 0.5
"""Of the vocabulary goes to single characters at most; the rarest characters become unknown."""

_CONTINUING = "##"
_CJK = r"\p{Han}\p{Hiragana}\p{Katakana}ー"
_WORDS = rf"[{_CJK}]+|▁?[[\p{{L}}\p{{M}}]&&[^{_CJK}]]+|▁?\p{{N}}+|▁?[^▁\p{{L}}\p{{M}}\p{{N}}]|▁"
"""Runs of one script: Chinese and Japanese, other letters, digits; each other character alone. The space before
goes with the word, but not before Chinese, where words begin without one."""


@dataclass(frozen=True)
class _Kind:
    pre_tokenizer: Callable[[], Any]
    decoder: Callable[[], Any]
    learn: Callable[[hf.Tokenizer, Iterable[str], int], Any]
    """(pipeline without a model, texts, vocabulary size) -> model of the ``tokenizers`` library."""
    normalizers: Callable[[], list[Any]] = list


def train_backend(texts: Iterable[str], settings: TokenizerSettings) -> hf.Tokenizer:
    """A tokenizer of the ``tokenizers`` library, the same for the same texts and settings."""
    kind = _KINDS[settings.kind]
    steps = [normalizers.NFKC()] * settings.nfkc + [normalizers.Lowercase()] * settings.lowercase
    steps += kind.normalizers()
    backend = hf.Tokenizer(models.BPE())
    if steps:
        backend.normalizer = normalizers.Sequence(steps)
    backend.pre_tokenizer = kind.pre_tokenizer()
    backend.decoder = kind.decoder()
    backend.model = kind.learn(backend, texts, settings.vocabulary_size)
    present = [token for token in SPECIAL if backend.token_to_id(token) is not None]
    backend.add_special_tokens([hf.AddedToken(token, special=True, normalized=False) for token in present])
    backend.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}",
        pair=f"{START} $A {END} $B:1 {END}:1",
        special_tokens=[(token, backend.token_to_id(token)) for token in (START, END)],
    )
    return backend


def _learn_bpe(pipeline: hf.Tokenizer, texts: Iterable[str], size: int) -> Any:
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=MIN_FREQUENCY,
        special_tokens=[token for token in SPECIAL if token != UNK],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    learner = hf.Tokenizer(models.BPE())
    learner.normalizer, learner.pre_tokenizer = pipeline.normalizer, pipeline.pre_tokenizer
    learner.train_from_iterator(texts, trainer)
    return learner.model


def _learn_unigram(pipeline: hf.Tokenizer, texts: Iterable[str], size: int) -> Any:
    words = _count_words(pipeline, texts)
    room = size - len(SPECIAL)
    pieces = train_unigram(words, _frequent(_count_characters(words), int(room * ALPHABET_SHARE)), room)
    vocabulary = [(token, 0.0) for token in SPECIAL] + pieces
    return models.Unigram(vocabulary, unk_id=SPECIAL.index(UNK))


def _learn_wordpiece(pipeline: hf.Tokenizer, texts: Iterable[str], size: int) -> Any:
    words = _count_words(pipeline, texts)
    frequent = _frequent(_count_characters(words), size)
    inner = {character for word in words for character in word[1:]}
    # Merges get what the characters leave, because a word with an unknown character is unknown as a whole.
    entries = accumulate(1 + (character in inner) for character in frequent)
    characters = [c for c, count in zip(frequent, entries, strict=True) if count <= size - len(SPECIAL)]
    # Claimed as special, these get fixed numbers; the trainer itself would give them out in no fixed order.
    continuing = [_CONTINUING + character for character in sorted(inner.intersection(characters))]
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=MIN_FREQUENCY,
        special_tokens=[*SPECIAL, *continuing],
        initial_alphabet=characters,
        limit_alphabet=len(characters),
        continuing_subword_prefix=_CONTINUING,
        show_progress=False,
    )
    learner = hf.Tokenizer(models.WordPiece(unk_token=UNK))
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    learner.train_from_iterator((f"{word} " * count for word, count in sorted(words.items())), trainer)
    vocabulary = json.loads(learner.to_str())["model"]["vocab"]
    return models.WordPiece(vocabulary, unk_token=UNK, continuing_subword_prefix=_CONTINUING)


def _learn_characters(pipeline: hf.Tokenizer, texts: Iterable[str], size: int) -> Any:
    characters = _frequent(_count_characters(_count_words(pipeline, texts)), size - len(SPECIAL))
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *characters])}
    return models.WordLevel(vocabulary, unk_token=UNK)


def _count_words(pipeline: hf.Tokenizer, texts: Iterable[str]) -> Counter[str]:
    words: Counter[str] = Counter()
    for text in texts:
        normalized = pipeline.normalizer.normalize_str(text) if pipeline.normalizer else text
        words.update(word for word, _ in pipeline.pre_tokenizer.pre_tokenize_str(normalized))
    return words


def _count_characters(words: Mapping[str, int]) -> Counter[str]:
    characters: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            characters[character] += count
    return characters


def _frequent(characters: Mapping[str, int], most: int) -> list[str]:
    """The ``most`` frequent characters, in the order of the frequency."""
    return sorted(characters, key=lambda character: (-characters[character], character))[:most]


def _wordpiece_decoder() -> Any:
    """Spaces were not kept: they go where most languages have them, and not around an apostrophe inside a word."""
    unspaced = (
        *((rf"(?<=\w) {mark} (?=(?:s|t|d|m|ll|re|ve)\b)", mark) for mark in "'’"),
        (r" (?=[:;)\]%])", ""),
        (r"(?<=[(\[]) ", ""),
    )
    replacements = [decoders.Replace(hf.Regex(pattern), content) for pattern, content in unspaced]
    return decoders.Sequence([decoders.WordPiece(prefix=_CONTINUING), decoders.Fuse(), *replacements])


_KINDS = {
    TokenizerKind.BPE: _Kind(
        pre_tokenizer=lambda: pre_tokenizers.ByteLevel(add_prefix_space=False),
        decoder=decoders.ByteLevel,
        learn=_learn_bpe,
    ),
    TokenizerKind.UNIGRAM: _Kind(
        pre_tokenizer=lambda: pre_tokenizers.Sequence(
            [pre_tokenizers.Metaspace(prepend_scheme="first"), pre_tokenizers.Split(hf.Regex(_WORDS), "isolated")]
        ),
        decoder=lambda: decoders.Metaspace(prepend_scheme="first"),
        learn=_learn_unigram,
    ),
    TokenizerKind.WORDPIECE: _Kind(
        pre_tokenizer=pre_tokenizers.BertPreTokenizer,
        decoder=_wordpiece_decoder,
        learn=_learn_wordpiece,
        normalizers=lambda: [normalizers.BertNormalizer(lowercase=False, strip_accents=False)],
    ),
    TokenizerKind.CHARACTERS: _Kind(
        pre_tokenizer=lambda: pre_tokenizers.Split(hf.Regex(r"[\s\S]"), "isolated"),
        decoder=decoders.Fuse,
        learn=_learn_characters,
    ),
}
