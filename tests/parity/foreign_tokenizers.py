"""Tiny tokenizers of every family, trained in process, in folders as the Hub has them; and lines to try them on."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import sentencepiece
import tokenizers as hf
from tokenizers import models, pre_tokenizers, trainers

from heedful.data import read_rows

_TEXT = (
    "the model reads a text file and translates it run token recipe don't we'll 2024 3.14 "
    "模型 训练 数据 é è ü ñ ß naïve Ａ １ ① ㍿ ½ ™ ﬁ … — “q” привет мир γειά שלום مرحبا नमस्ते สวัสดี 안녕하세요 "
    "こんにちは カタカナ ﾊﾝｶｸ 😀 👨‍👩‍👧 🇩🇪 👍🏽"
)
WORDS = _TEXT.split()
MARKS = [chr(code) for code in (0x301, 0x308, 0x323, 0x5B0, 0x64B, 0x93C, 0x200D, 0xFE0F, 0x1161, 0x11A8)]
CONTROLS = [
    *map(chr, range(32)),
    *(chr(code) for code in (0x7F, 0x9F, 0xA0, 0xAD, 0x200B, 0x200E, 0x2028, 0x202E, 0x3000, 0xFEFF, 0xFFFD, 0xE000)),
]
LOOKALIKES = [
    *("<s>", "</s>", "<pad>", "<unk>", "<mask>", "<bos>", "<eos>", "[CLS]", "[SEP]", "[UNK]", "[MASK]", "[PAD]"),
    *("<extra_id_0>", "<unk_2>", "<mask_1>", "<0x0A>", "en_XX", "__en__", "eng_Latn", ">>fra<<", "<|endoftext|>"),
]


@cache
def lines(count: int = 10_000, seed: int = 0) -> tuple[str, ...]:
    """Mixed scripts, emoji, controls, combining marks, long runs; none looks like a special token."""
    chance = random.Random(seed)
    made = (_line(chance) for _ in range(count))
    return tuple(line for line in made if not any(token.lower() in line.lower() for token in LOOKALIKES))


def _line(chance: random.Random) -> str:
    parts = []
    for _ in range(chance.randrange(12)):
        kind = chance.random()
        if kind < 0.5:
            parts.append(chance.choice(WORDS))
        elif kind < 0.6:
            parts.append(chance.choice("aeoAnKGg가각ᄀ") + chance.choice(MARKS))
        elif kind < 0.68:
            parts.append(chance.choice(CONTROLS))
        elif kind < 0.74:
            parts.append(chance.choice(["a", "0", " ", ">", "🙂", "中", "!", "\u0301"]) * chance.randrange(1, 100))
        elif kind < 0.80:
            ranges = [(0x20, 0x250), (0x370, 0xD7FF), (0xE000, 0x10000), (0x10000, 0x1FFFF)]
            parts.append(chr(chance.randrange(*chance.choice(ranges))))
        else:
            parts.append("".join(chance.choice("abcdefghijklmnopqrstuvwxyz0123456789.,!?'") for _ in range(5)))
    return chance.choice([" ", "", " ", "  ", "\n"]).join(parts) + chance.choice(["", " ", "\n"])


@cache
def corpus() -> tuple[str, ...]:
    """What the tiny tokenizers are trained on: the data set that ships with heedful, and every word above."""
    return (
        *(row.values["text"] for row in read_rows("helpdesk:validation")),
        *(f"{word} {word}" for word in WORDS * 3),
    )


@cache
def sentencepiece_model(kind: str, **options: Any) -> bytes:
    """A SentencePiece model of 700 pieces or so."""
    settings: dict[str, Any] = {"vocab_size": 700}
    settings |= {key: list(value) if isinstance(value, tuple) else value for key, value in options.items()}
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()),
        model_writer=written,
        model_type=kind,
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
        **settings,
    )
    return written.getvalue()


def write_json(file: Path, data: object) -> None:
    file.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")


def wordpiece_folder(folder: Path, model_type: str, special: Sequence[str], **config: Any) -> None:
    """vocab.txt, as BERT has it."""
    learner = hf.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    learner.train_from_iterator(
        [line for text in corpus() for line in (text, text.lower())],
        trainers.WordPieceTrainer(vocab_size=900, special_tokens=list(special), show_progress=False),
    )
    ids = learner.get_vocab()
    (folder / "vocab.txt").write_text("\n".join(sorted(ids, key=ids.__getitem__)) + "\n", encoding="utf-8")
    write_json(folder / "config.json", {"model_type": model_type})
    if config:
        write_json(folder / "tokenizer_config.json", config)


def byte_bpe_folder(folder: Path, model_type: str, special: Sequence[str], **config: Any) -> None:
    """vocab.json and merges.txt, as GPT-2 has them."""
    learner = hf.Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=list(special),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    learner.train_from_iterator(corpus(), trainer)
    learner.model.save(str(folder))
    write_json(folder / "config.json", {"model_type": model_type})
    if config:
        write_json(folder / "tokenizer_config.json", config)


def sentencepiece_folder(folder: Path, model_type: str, file: str, model: bytes, **config: Any) -> None:
    """A SentencePiece model, as XLM-R and many others have it."""
    (folder / file).write_bytes(model)
    write_json(folder / "config.json", {"model_type": model_type})
    if config:
        write_json(folder / "tokenizer_config.json", config)


def pieces_of(models_: Iterable[bytes]) -> list[str]:
    """The pieces of several models, each once, those of kind CONTROL left out."""
    found: dict[str, None] = {}
    for model in models_:
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        for number in range(processor.get_piece_size()):
            if not processor.is_control(number) and not processor.is_unknown(number):
                found[processor.id_to_piece(number)] = None
    return list(found)
