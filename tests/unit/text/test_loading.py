"""Folders of others: what their files say, what damage does, and what a hostile text costs."""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tokenizers as hf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.parity.foreign_tokenizers import (
    byte_bpe_folder,
    pieces_of,
    sentencepiece_folder,
    sentencepiece_model,
    wordpiece_folder,
    write_json,
)

from heedful.errors import CheckpointError, RequestError, UnsupportedError
from heedful.text import Tokenizer

BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def bert(folder: Path, **config: Any) -> None:
    wordpiece_folder(folder, "bert", BERT, **config)


def xlm_roberta(folder: Path) -> None:
    sentencepiece_folder(folder, "xlm-roberta", "sentencepiece.bpe.model", sentencepiece_model("unigram"))


def llama(folder: Path) -> None:
    model = sentencepiece_model("bpe", byte_fallback=True, vocab_size=1000)
    sentencepiece_folder(folder, "llama", "tokenizer.model", model)


def gpt2(folder: Path) -> None:
    byte_bpe_folder(folder, "gpt2", ("<|endoftext|>",))


def marian(folder: Path) -> None:
    model = sentencepiece_model("unigram")
    for side in ("source", "target"):
        (folder / f"{side}.spm").write_bytes(model)
    write_json(
        folder / "vocab.json", {token: n for n, token in enumerate(["</s>", "<unk>", "<pad>", *pieces_of([model])])}
    )
    write_json(folder / "config.json", {"model_type": "marian"})


def tokenizer_json(folder: Path) -> None:
    """As the Hub has it, with all that saving adds."""
    xlm_roberta(folder)
    tokenizer = Tokenizer.load(folder)
    (folder / "sentencepiece.bpe.model").unlink()
    tokenizer.save(folder)


FOLDERS: dict[str, Callable[[Path], None]] = {
    "bert": bert,
    "gpt2": gpt2,
    "xlm-roberta": xlm_roberta,
    "llama": llama,
    "marian": marian,
    "tokenizer.json": tokenizer_json,
}


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    @cache
    def make(name: str) -> Path:
        folder = tmp_path_factory.mktemp("tokenizer")
        FOLDERS[name](folder)
        return folder

    return make


def ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode_batch([text])[0].ids


def edit(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    data = json.loads(file.read_text(encoding="utf-8"))
    change(data)
    write_json(file, data)


def test_cutting_padding_and_dropout_of_a_file_do_not_act(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    Tokenizer.load(folder_of("gpt2")).save(tmp_path)
    whole = ids(Tokenizer.load(tmp_path), "a text that is longer than four tokens")
    backend = hf.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    backend.enable_truncation(4)
    backend.enable_padding(length=64)
    backend.save(str(tmp_path / "tokenizer.json"))
    edit(tmp_path / "tokenizer.json", lambda data: data["model"].update(dropout=0.9))
    assert len(whole) > 4
    assert all(ids(Tokenizer.load(tmp_path), "a text that is longer than four tokens") == whole for _ in range(5))


def test_roles_come_from_whichever_file_names_them(tmp_path: Path) -> None:
    bert(tmp_path)
    tokenizer = Tokenizer.load(tmp_path)
    tokenizer.save(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    usual = Tokenizer.load(tmp_path).special
    assert (usual.pad, usual.unk, usual.cls, usual.sep, usual.mask) == (0, 1, 2, 3, 4)
    write_json(tmp_path / "special_tokens_map.json", {"pad_token": {"content": "[MASK]", "lstrip": False}})
    assert Tokenizer.load(tmp_path).special.pad == 4
    write_json(tmp_path / "tokenizer_config.json", {"pad_token": "[SEP]", "bos_token": "not in the vocabulary"})
    assert Tokenizer.load(tmp_path).special.pad == 4, "the map is what its class's author wrote by hand"
    assert Tokenizer.load(tmp_path).special.bos is None
    write_json(tmp_path / "tokenizer_config.json", {"pad_token": "[SEP]", "added_tokens_decoder": {}})
    assert Tokenizer.load(tmp_path).special.pad == 3, "but a configuration that tells tokens in full is newer"
    write_json(tmp_path / "config.json", {"model_type": "of a family unknown here", "eos_token_id": [3, 5]})
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        (tmp_path / name).unlink()
    special = Tokenizer.load(tmp_path).special
    assert (special.eos, special.pad, special.cls) == (3, None, None)


def test_tokens_that_were_added_have_the_ids_they_were_given(tmp_path: Path) -> None:
    bert(tmp_path)
    size = Tokenizer.load(tmp_path).vocabulary_size
    write_json(tmp_path / "added_tokens.json", {"newword": size, "<new>": size + 1})
    write_json(tmp_path / "special_tokens_map.json", {"additional_special_tokens": ["<new>"]})
    tokenizer = Tokenizer.load(tmp_path)
    assert tokenizer.vocabulary_size == size + 2
    assert ids(tokenizer, "a newword")[-2] == size
    assert size + 1 not in ids(tokenizer, "a <new> word")
    write_json(tmp_path / "added_tokens.json", {"newword": size + 7})
    with pytest.raises(CheckpointError, match=f"'newword' should have the id {size + 7}"):
        Tokenizer.load(tmp_path)


def test_prefixes_are_those_of_the_tasks(tmp_path: Path) -> None:
    model = sentencepiece_model("unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    sentencepiece_folder(tmp_path, "t5", "spiece.model", model)
    german = {"early_stopping": True, "prefix": "translate English to German: "}
    tasks = {"summarization": {"prefix": "summarize: "}, "translation_en_to_de": german, "other": {"max_length": 3}}
    write_json(tmp_path / "config.json", {"model_type": "t5", "task_specific_params": tasks})
    (saved := tmp_path / "saved").mkdir()
    Tokenizer.load(tmp_path).save(saved)
    for folder in (tmp_path, saved):
        assert Tokenizer.load(folder).prefixes == {
            "summarization": "summarize: ",
            "translation_en_to_de": "translate English to German: ",
        }


@pytest.mark.parametrize(
    ("class_name", "before", "after"), [("MBart", [], ["</s>", "ro_RO"]), ("MBart50", ["ro_RO"], ["</s>"])]
)
def test_a_language_stands_at_its_family_s_end(
    class_name: str, before: list[str], after: list[str], tmp_path: Path
) -> None:
    model = sentencepiece_model("unigram")
    config = {"tokenizer_class": f"{class_name}Tokenizer"}
    sentencepiece_folder(tmp_path, "mbart", "sentencepiece.bpe.model", model, **config)
    (saved := tmp_path / "saved").mkdir()
    Tokenizer.load(tmp_path).save(saved)
    write_json(saved / "config.json", {"model_type": "mbart"})
    edit(saved / "tokenizer_config.json", lambda config: config.pop("heedful"))  # as in any folder of the Hub
    for tokenizer in (Tokenizer.load(tmp_path), Tokenizer.load(saved)):
        text = tokenizer.encode_batch(["the text"], language="ro_RO")[0]
        id_of = tokenizer._backend.token_to_id
        middle = [token for token, owner in zip(text.ids, text.texts, strict=True) if owner == 0]
        assert text.ids == [*map(id_of, before), *middle, *map(id_of, after)]
        assert tokenizer.target_start("ro_RO") == id_of("ro_RO")
        assert len(tokenizer.languages) == {"MBart": 25, "MBart50": 52}[class_name]
        with pytest.raises(RequestError, match="did you mean ro_RO"):
            tokenizer.encode_batch(["the text"], language="ro_ROM")
        with pytest.raises(UnsupportedError, match="a pair of texts has no language"):
            tokenizer.encode_batch(["the text"], ["another"], language="ro_RO")


def test_a_tokenizer_of_one_language_says_so(folder_of: Callable[[str], Path]) -> None:
    tokenizer = Tokenizer.load(folder_of("bert"))
    assert tokenizer.languages == ()
    with pytest.raises(RequestError, match="does not know the language 'en'; it knows none"):
        tokenizer.target_start("en")


def test_a_sentencepiece_model_of_no_known_family_is_refused(tmp_path: Path) -> None:
    sentencepiece_folder(tmp_path, "unheard-of", "spiece.model", sentencepiece_model("unigram"))
    with pytest.raises(CheckpointError, match="nothing says what family it is of"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize("kind", ["word", "char"])
def test_kinds_of_models_that_are_not_run_are_named(kind: str, tmp_path: Path) -> None:
    model = sentencepiece_model(kind, vocab_size=60)
    sentencepiece_folder(tmp_path, "t5", "spiece.model", model)
    with pytest.raises(CheckpointError, match="of the kind word or char"):
        Tokenizer.load(tmp_path)


# Faults


LEADING_OUT = base64.b64encode((1024).to_bytes(4, "little") + b"\xff\xff\xff\x7f" * 256 + b"\0").decode()
HOSTILE_JSON: dict[str, Callable[[dict[str, Any]], None]] = {
    "words without end": lambda data: data.update(
        model={"type": "WordPiece", "unk_token": "a", "max_input_chars_per_word": 10**9, "vocab": {"a": 0}}
    ),
    "a rule that blows up": lambda data: data.update(
        normalizer={"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 100_000}
    ),
    "rules that lead out": lambda data: data.update(
        normalizer={"type": "Precompiled", "precompiled_charsmap": LEADING_OUT}
    ),
    "rules cut off": lambda data: data.update(normalizer={"type": "Precompiled", "precompiled_charsmap": "/////wAA"}),
    "no base64": lambda data: data.update(normalizer={"type": "Precompiled", "precompiled_charsmap": "?"}),
    "no such model": lambda data: data.update(model={"type": "Magic"}),
    "a model that is a number": lambda data: data.update(model=3),
}


@pytest.mark.parametrize("fault", HOSTILE_JSON)
def test_hostile_tokenizer_json_is_refused(fault: str, folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folder_of("tokenizer.json"), tmp_path / "copy")
    edit(folder / "tokenizer.json", HOSTILE_JSON[fault])
    with pytest.raises(CheckpointError):
        Tokenizer.load(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "config.json"])
def test_deep_json_is_refused(name: str, folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folder_of("tokenizer.json"), tmp_path / "copy")
    (folder / name).write_text('{"a":' * 200_000 + "1" + "}" * 200_000)
    with pytest.raises(CheckpointError):
        Tokenizer.load(folder)


def test_a_file_that_is_too_large_is_not_read(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folder_of("xlm-roberta"), tmp_path / "copy")
    with (folder / "sentencepiece.bpe.model").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(CheckpointError, match="is larger than"):
        Tokenizer.load(folder)


def files() -> list[tuple[str, str]]:
    """Every file of every folder."""
    return [
        *(("bert", name) for name in ("vocab.txt", "config.json")),
        *(("gpt2", name) for name in ("vocab.json", "merges.txt")),
        ("xlm-roberta", "sentencepiece.bpe.model"),
        ("llama", "tokenizer.model"),
        *(("marian", name) for name in ("source.spm", "vocab.json")),
        *(("tokenizer.json", name) for name in ("tokenizer.json", "tokenizer_config.json")),
    ]


@pytest.mark.parametrize(("name", "file"), files())
def test_damaged_files_give_a_tokenizer_or_our_error(
    name: str, file: str, folder_of: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(folder_of(name), tmp_path / "copy")
    intact = (folder / file).read_bytes()

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        damaged = bytearray(intact)
        for _ in range(data.draw(st.integers(1, 4))):
            # Where structure is dense, at the ends, as often as anywhere else.
            place = data.draw(st.one_of(st.integers(0, len(damaged)), st.integers(0, min(300, len(damaged)))))
            length = data.draw(st.sampled_from([0, 1, 1, 4, 1000]))
            written = data.draw(st.one_of(st.binary(max_size=8), st.sampled_from([b"99999999", b"{[", b"-1"])))
            damaged[place : place + length] = written
        (folder / file).write_bytes(bytes(damaged))
        with suppress(CheckpointError):
            tokenizer = Tokenizer.load(folder)
            encodings = tokenizer.encode_batch(["a text — é 中 \u0301 ﬁ"], ["and another"])
            tokenizer.decode(encodings[0].ids)

    check()


STRANGE = [3, "x", [1], {"a": 1}, None, True, {"content": 3}, "a" * 1000]
OPTIONS = (
    *("tokenizer_class", "pad_token", "additional_special_tokens", "added_tokens_decoder", "chat_template", "heedful"),
    *("src_lang", "extra_ids", "do_lower_case", "strip_accents", "add_prefix_space"),
)


@pytest.mark.parametrize("name", ["bert", "xlm-roberta", "tokenizer.json"])
def test_strange_values_give_a_tokenizer_or_our_error(
    name: str, folder_of: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(folder_of(name), tmp_path / "copy")
    for key in OPTIONS:
        for value in STRANGE:
            write_json(folder / "tokenizer_config.json", {key: value})
            with suppress(CheckpointError):
                ids(Tokenizer.load(folder), "a text")


# Growth


HOSTILE_RUNS = [">>", " ", "\u0301", "a", "<s>"]


@pytest.mark.parametrize("run", HOSTILE_RUNS, ids=ascii)
@pytest.mark.parametrize("name", ["bert", "gpt2", "xlm-roberta", "llama"])
def test_hostile_runs_cost_no_more_than_their_length(name: str, run: str, folder_of: Callable[[str], Path]) -> None:
    """Four times the text may take nine times as long, and a little for the noise of a busy machine."""
    tokenizer = Tokenizer.load(folder_of(name))

    def seconds(size: int) -> float:
        text = run * (size // len(run.encode()))
        started = time.process_time()
        tokenizer.encode_batch([text])
        return time.process_time() - started

    assert seconds(1_000_000) < 9 * seconds(250_000) + 1
