"""Training tokenizers, and from text to tokens and back."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import tokenizers as hf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from heedful.data import read_rows
from heedful.errors import CheckpointError, DataError, RequestError
from heedful.text import Encoding, SpecialTokens, Tokenizer, TokenizerKind, TokenizerSettings

KINDS = list(TokenizerKind)
KEEPING_SPACES = [TokenizerKind.BPE, TokenizerKind.UNIGRAM, TokenizerKind.CHARACTERS]
MIXED = ["请用 Python 3 写 一个 API 接口", "我的 iPhone 收不到 code, please help", "WiFi 密码 忘了 怎么办 ?"]


@cache
def corpus() -> tuple[str, ...]:
    """English and Chinese texts of the data set that ships with heedful."""
    return tuple(row.values["text"] for row in read_rows("helpdesk:validation"))


@cache
def trained(kind: TokenizerKind, size: int = 1000, *, lowercase: bool = False, nfkc: bool = False) -> Tokenizer:
    chosen = TokenizerSettings(kind=kind, vocabulary_size=size, lowercase=lowercase, nfkc=nfkc)
    return Tokenizer.train([*corpus(), *MIXED], chosen)


def encode(tokenizer: Tokenizer, text: str, pair: str | None = None) -> Encoding:
    (encoding,) = tokenizer.encode_batch([text], None if pair is None else [pair])
    return encoding


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_stands_between_the_special_tokens(kind: TokenizerKind) -> None:
    tokenizer = trained(kind)
    encoding = encode(tokenizer, corpus()[0])
    assert encoding.ids[0] == tokenizer.special.cls == tokenizer.special.bos
    assert encoding.ids[-1] == tokenizer.special.sep == tokenizer.special.eos
    assert encoding.special == [True] + [False] * (len(encoding) - 2) + [True]
    assert len(encoding) > 4
    assert set(encoding.token_types) == {0}


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_has_both_texts_with_their_types(kind: TokenizerKind) -> None:
    tokenizer = trained(kind)
    first, second = corpus()[:2]
    one, two, pair = encode(tokenizer, first), encode(tokenizer, second), encode(tokenizer, first, second)
    assert pair.ids == one.ids + two.ids[1:]
    assert pair.token_types == [0] * len(one) + [1] * (len(two) - 1)
    assert pair.offsets == one.offsets + two.offsets[1:]
    assert [place for place, special in enumerate(pair.special) if special] == [0, len(one) - 1, len(pair) - 1]


@pytest.mark.parametrize("kind", KINDS)
def test_every_role_has_a_token_of_its_own(kind: TokenizerKind) -> None:
    special = trained(kind).special
    ids = [special.pad, special.bos, special.eos, special.mask, special.unk]
    assert special.pad == 0
    assert (special.unk is None) == (kind is TokenizerKind.BPE), "bytes know every text"
    assert len(set(ids)) == len(ids)


@given(text=st.text())
def test_bytes_give_every_text_back(text: str) -> None:
    tokenizer = trained(TokenizerKind.BPE)
    assert tokenizer.decode(encode(tokenizer, text).ids) == text


@pytest.mark.parametrize("kind", KEEPING_SPACES)
def test_known_characters_come_back_with_their_spaces(kind: TokenizerKind) -> None:
    alphabet = sorted(set("".join([*corpus(), *MIXED])))
    tokenizer = trained(kind, 4000)

    @settings(max_examples=60)
    @example(parts=[" "])
    @example(parts=["  ", "login"])
    @given(parts=st.lists(st.sampled_from([*alphabet, " ", "  ", "登录", "login"]), max_size=30))
    def check(parts: list[str]) -> None:
        text = "".join(parts)
        kept = text.removeprefix(" ") if kind is TokenizerKind.UNIGRAM else text
        assert tokenizer.decode(encode(tokenizer, text).ids) == kept

    check()


@pytest.mark.parametrize("kind", KEEPING_SPACES)
@pytest.mark.parametrize("text", MIXED)
def test_mixed_chinese_and_english_keeps_its_spaces(kind: TokenizerKind, text: str) -> None:
    tokenizer = trained(kind)
    assert tokenizer.decode(encode(tokenizer, text).ids) == text


def test_wordpiece_gives_words_back_and_splits_chinese_into_characters() -> None:
    tokenizer = trained(TokenizerKind.WORDPIECE, 4000)
    assert tokenizer.decode(encode(tokenizer, "please help").ids) == "please help"
    assert tokenizer.decode(encode(tokenizer, "密码忘了").ids) == "密 码 忘 了"


def test_wordpiece_puts_marks_where_they_belong() -> None:
    said = "Kim's friend doesn't say (hello): he’ll go, she's sure! 5% of us; [all]?"
    tokenizer = Tokenizer.train([said] * 3, TokenizerSettings(kind=TokenizerKind.WORDPIECE, vocabulary_size=200))
    assert tokenizer.decode(encode(tokenizer, said).ids) == said
    assert tokenizer.decode(encode(tokenizer, "go 'hello' all").ids) == "go ' hello ' all"


def test_characters_are_one_token_each() -> None:
    encoding = encode(trained(TokenizerKind.CHARACTERS, 4000), "密码 ok?\n")
    assert len(encoding) == len("密码 ok?\n") + 2


def test_unigram_finds_chinese_words() -> None:
    encoding = encode(trained(TokenizerKind.UNIGRAM, 2000), "密码忘了怎么办")
    assert len(encoding) - 2 < len("密码忘了怎么办")
    assert not any(special for special in encoding.special[1:-1])


@pytest.mark.parametrize("kind", KINDS)
def test_offsets_are_those_of_the_original_characters(kind: TokenizerKind) -> None:
    tokenizer = trained(kind, lowercase=True, nfkc=True)
    for text in [*corpus()[:40], *MIXED, "ＷｉＦｉ 密码 ｏｋ ﬁle"]:
        encoding = encode(tokenizer, text)
        spans = [span for span, special in zip(encoding.offsets, encoding.special, strict=True) if not special]
        covered = {place for start, end in spans for place in range(start, end)}
        assert covered >= {place for place, character in enumerate(text) if not character.isspace()}
        assert all(0 <= start <= end <= len(text) for start, end in spans)
        assert [start for start, _ in spans] == sorted(start for start, _ in spans)
        assert {encoding.offsets[0], encoding.offsets[-1]} == {(0, 0)}


@pytest.mark.parametrize("kind", KINDS)
def test_normalisation_folds_case_and_width(kind: TokenizerKind) -> None:
    tokenizer = trained(kind, lowercase=True, nfkc=True)
    assert encode(tokenizer, "ＰＬＥＡＳＥ Help").ids == encode(tokenizer, "please help").ids
    plain = trained(kind)
    assert encode(plain, "PLEASE").ids != encode(plain, "please").ids
    assert encode(plain, "ｈ").ids != encode(plain, "h").ids


@pytest.mark.parametrize("kind", KINDS)
def test_a_writer_cannot_put_special_tokens_into_a_text(kind: TokenizerKind) -> None:
    tokenizer = trained(kind)
    for text in ["<pad> <s>hello</s><mask><unk>", "a<pad>", "▁<pad>"]:
        encoding = encode(tokenizer, text)
        planted = {tokenizer.special.pad, tokenizer.special.mask, tokenizer.special.bos, tokenizer.special.eos}
        assert not planted & set(encoding.ids[1:-1])
        assert not any(encoding.special[1:-1])


@pytest.mark.parametrize("kind", KINDS)
def test_the_vocabulary_is_no_larger_than_asked_for(kind: TokenizerKind) -> None:
    for size in (320, 700):
        assert trained(kind, size).vocabulary_size <= size
    assert trained(kind, 320).vocabulary_size >= 200


@pytest.mark.parametrize("kind", KINDS)
def test_more_vocabulary_than_the_texts_give_is_no_fault(kind: TokenizerKind) -> None:
    tokenizer = Tokenizer.train(["to be or not to be"], TokenizerSettings(kind=kind, vocabulary_size=50_000))
    assert tokenizer.vocabulary_size < 300
    assert tokenizer.decode(encode(tokenizer, "to be").ids) == "to be"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("texts", [[], [""], [" "]])
def test_nothing_to_learn_from_leaves_the_special_tokens(kind: TokenizerKind, texts: list[str]) -> None:
    tokenizer = Tokenizer.train(texts, TokenizerSettings(kind=kind))
    assert encode(tokenizer, "").ids == [tokenizer.special.bos, tokenizer.special.eos]


@pytest.mark.parametrize("kind", [TokenizerKind.UNIGRAM, TokenizerKind.WORDPIECE, TokenizerKind.CHARACTERS])
def test_unknown_characters_are_unknown_and_nothing_fails(kind: TokenizerKind) -> None:
    tokenizer = trained(kind)
    encoding = encode(tokenizer, "help ☃☃ please")
    assert tokenizer.special.unk in encoding.ids
    assert tokenizer.decode(encoding.ids).split() == ["help", "please"]
    assert tokenizer.decode(encoding.ids, skip_special=False).startswith("<s>")


TRAIN_ALL = """
import hashlib, sys
from heedful.data import read_rows
from heedful.text import Tokenizer, TokenizerKind, TokenizerSettings
texts = [row.values["text"] for row in read_rows("helpdesk:validation")]
for kind in TokenizerKind:
    Tokenizer.train(texts, TokenizerSettings(kind=kind, vocabulary_size=600)).save(sys.argv[1])
    print(hashlib.sha256(open(sys.argv[1] + "/tokenizer.json", "rb").read()).hexdigest())
"""


def test_the_same_texts_give_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TRAIN_ALL, str(tmp_path)]
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    here = []
    for kind in KINDS:
        Tokenizer.train(corpus(), TokenizerSettings(kind=kind, vocabulary_size=600)).save(tmp_path)
        here.append(hashlib.sha256((tmp_path / "tokenizer.json").read_bytes()).hexdigest())
    assert done.stdout.split() == here


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_tokenizer_is_the_same_and_reads_as_a_standard_file(kind: TokenizerKind, tmp_path: Path) -> None:
    tokenizer = trained(kind, lowercase=True)
    tokenizer.save(tmp_path)
    for place in (tmp_path, tmp_path / "tokenizer.json", str(tmp_path)):
        loaded = Tokenizer.load(place)
        assert loaded.special == tokenizer.special
        assert loaded.vocabulary_size == tokenizer.vocabulary_size
        assert loaded.encode_batch(corpus()) == tokenizer.encode_batch(corpus())
        assert encode(loaded, "<s> a <pad>") == encode(tokenizer, "<s> a <pad>")
    standard = hf.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert [e.ids for e in standard.encode_batch(corpus())] == [e.ids for e in tokenizer.encode_batch(corpus())]


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_reads_the_folder_with_the_same_ids_and_roles(kind: TokenizerKind, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = trained(kind)
    tokenizer.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(str(tmp_path))
    texts = [*corpus()[:50], *MIXED, "<s> planted <pad>"]
    assert theirs(texts)["input_ids"] == [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    assert theirs.decode(encode(tokenizer, MIXED[0]).ids, skip_special_tokens=True) == tokenizer.decode(
        encode(tokenizer, MIXED[0]).ids
    )
    for role in ("pad", "unk", "bos", "eos", "cls", "sep", "mask"):
        assert getattr(theirs, f"{role}_token_id") == getattr(tokenizer.special, role), role


def test_roles_are_read_however_they_are_written(tmp_path: Path) -> None:
    trained(TokenizerKind.UNIGRAM).save(tmp_path)
    config = {"pad_token": {"content": "<pad>", "special": True}, "eos_token": "</s>", "cls_token": None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert Tokenizer.load(tmp_path).special == SpecialTokens(pad=0, eos=3)
    (tmp_path / "tokenizer_config.json").unlink()
    assert Tokenizer.load(tmp_path).special == SpecialTokens()


def test_loading_what_is_not_there_or_no_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no tokenizer at"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(CheckpointError, match="is not a tokenizer that can be used"):
        Tokenizer.load(tmp_path)
    trained(TokenizerKind.BPE).save(tmp_path)
    for content in ("{", "[1]", "\ud7ff"):
        (tmp_path / "tokenizer_config.json").write_text(content, encoding="utf-16")
        with pytest.raises(CheckpointError, match="is not valid JSON"):
            Tokenizer.load(tmp_path)


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_half_a_surrogate_pair_is_no_text(dropout: float) -> None:
    with pytest.raises(DataError, match="surrogate"):
        trained(TokenizerKind.BPE).encode_batch(["good", "bad \ud83d"], dropout=dropout)
    with pytest.raises(DataError, match="surrogate"):
        trained(TokenizerKind.BPE).encode_batch(["good"], ["bad \ud83d"], dropout=dropout)


def test_no_texts_give_no_encodings() -> None:
    assert trained(TokenizerKind.BPE).encode_batch([]) == []


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_dropout_is_a_probability(dropout: float) -> None:
    with pytest.raises(RequestError, match="no probability"):
        trained(TokenizerKind.BPE).encode_batch(["text"], dropout=dropout)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "sentencepiece"}, "'bpe', 'unigram', 'wordpiece' or 'characters'"),
        ({"vocabulary_size": 0}, "greater than or equal to 16"),
        ({"kind": "bpe", "vocabulary_size": 256}, "at least 300 for bpe"),
        ({"size": 3}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TokenizerSettings.model_validate(wrong)
