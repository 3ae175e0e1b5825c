"""Training a tokenizer of each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import tokenizers as hf
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from heedful.text.settings import TokenizerKind, TokenizerSettings

PAD, UNK, START, END, MASK = "<pad>", "<unk>", "<s>", "</s>", "<mask>"

_SPACE = "▁"


@dataclass(frozen=True)
class _Pipeline:
    model: Callable[[], Any]
    pre_tokenizer: Callable[[], Any]
    decoder: Callable[[], Any]
    trainer: Callable[..., Any]
    has_unk: bool = True


def _byte_level_trainer(**options: Any) -> Any:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    return trainers.BpeTrainer(initial_alphabet=alphabet, **options)


def _unigram_trainer(**options: Any) -> Any:
    return trainers.UnigramTrainer(unk_token=UNK, **options)


_PIPELINES = {
    TokenizerKind.BPE: _Pipeline(
        models.BPE,
        lambda: pre_tokenizers.ByteLevel(add_prefix_space=False),
        decoders.ByteLevel,
        _byte_level_trainer,
        has_unk=False,
    ),
    TokenizerKind.UNIGRAM: _Pipeline(
        models.Unigram, pre_tokenizers.Metaspace, decoders.Metaspace, _unigram_trainer
    ),
    TokenizerKind.WORDPIECE: _Pipeline(
        lambda: models.WordPiece(unk_token=UNK),
        pre_tokenizers.BertPreTokenizer,
        decoders.WordPiece,
        trainers.WordPieceTrainer,
    ),
    TokenizerKind.CHARACTERS: _Pipeline(
        lambda: models.WordLevel(unk_token=UNK),
        lambda: pre_tokenizers.Split(hf.Regex(r"[\s\S]"), "isolated"),
        decoders.Fuse,
        trainers.WordLevelTrainer,
    ),
}


def train_backend(texts: Iterable[str], settings: TokenizerSettings) -> hf.Tokenizer:
    """A tokenizer of the ``tokenizers`` library trained on ``texts``."""
    pipeline = _PIPELINES[settings.kind]
    backend = hf.Tokenizer(pipeline.model())
    steps: list[Any] = [normalizers.NFKC()] if settings.nfkc else []
    if settings.lowercase:
        steps.append(normalizers.Lowercase())
    if settings.kind is TokenizerKind.WORDPIECE:
        steps.append(normalizers.BertNormalizer(lowercase=False, strip_accents=False))
    if steps:
        backend.normalizer = normalizers.Sequence(steps)
    backend.pre_tokenizer = pipeline.pre_tokenizer()
    backend.decoder = pipeline.decoder()
    special = [PAD, *([UNK] if pipeline.has_unk else []), START, END, MASK]
    trainer = pipeline.trainer(
        vocab_size=settings.vocabulary_size, special_tokens=special, show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    backend.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}",
        pair=f"{START} $A {END} $B:1 {END}:1",
        special_tokens=[(token, backend.token_to_id(token)) for token in (START, END)],
    )
    return backend
