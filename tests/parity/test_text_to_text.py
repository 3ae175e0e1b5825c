"""Text in, text out: a foreign checkpoint writes what upstream's tokenizer, ``generate`` and ``decode`` give."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import transformers
from safetensors.torch import load_file
from tests.parity.families.reference import in_float64, make
from tests.parity.foreign_tokenizers import (
    byte_bpe_folder,
    corpus,
    pieces_of,
    sentencepiece_folder,
    sentencepiece_model,
    write_json,
)

import heedful
from heedful.data import Example
from heedful.errors import CheckpointError, RequestError
from heedful.tasks import TextToText, convert
from heedful.text import Side, Tokenizer

FAIRSEQ_FILE = "sentencepiece.bpe.model"
STACKS = {"encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 20, "decoder_ffn_dim": 24}
HEADS = {"encoder_attention_heads": 2, "decoder_attention_heads": 4}
SIZES: dict[str, Any] = {"d_model": 16, **STACKS, **HEADS, "max_position_embeddings": 64}
T5_SIZES = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2}
FAIRSEQ_IDS = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
T5_IDS = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
LENGTH = 20
TEXTS = [text for text in corpus() if text.isascii() and 10 < len(text) < 60][:12]


def marian(folder: Path, **config: Any) -> None:
    """Two tokenizers that cut words otherwise."""
    source, target = sentencepiece_model("unigram"), sentencepiece_model("unigram", vocab_size=500)
    (folder / "source.spm").write_bytes(source)
    (folder / "target.spm").write_bytes(target)
    tokens = ["</s>", "<unk>", *pieces_of([source, target]), ">>fra<<", ">>deu<<", "<pad>"]
    write_json(folder / "vocab.json", {token: number for number, token in enumerate(tokens)})
    write_json(folder / "tokenizer_config.json", {"source_lang": "en", "target_lang": "fr", **config})
    write_json(folder / "config.json", {"model_type": "marian"})


def marian_apart(folder: Path, **config: Any) -> None:
    """Two tokenizers with ids of their own."""
    models = {"source": sentencepiece_model("unigram"), "target": sentencepiece_model("unigram", vocab_size=500)}
    for side, name in (("source", "vocab.json"), ("target", "target_vocab.json")):
        (folder / f"{side}.spm").write_bytes(models[side])
        tokens = ["</s>", "<unk>", "<pad>", *pieces_of([models[side]])]
        write_json(folder / name, {token: number for number, token in enumerate(tokens)})
    write_json(folder / "tokenizer_config.json", {"separate_vocabs": True, **config})
    write_json(folder / "config.json", {"model_type": "marian"})


def m2m_100(folder: Path, **config: Any) -> None:
    model = sentencepiece_model("bpe")
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *pieces_of([model])]
    write_json(folder / "vocab.json", {token: number for number, token in enumerate(tokens)})
    sentencepiece_folder(folder, "m2m_100", FAIRSEQ_FILE, model, tokenizer_class="M2M100Tokenizer", **config)


def bart(folder: Path, **config: Any) -> None:
    byte_bpe_folder(folder, "bart", ("<s>", "<pad>", "</s>", "<unk>", "<mask>"), **config)


def with_model(model_type: str, file: str, kind: str = "unigram", name: str = "", **ids: Any) -> Callable[..., None]:
    """A folder with one SentencePiece model."""

    def write(folder: Path, **config: Any) -> None:
        named = {"tokenizer_class": name} if name else {}
        sentencepiece_folder(folder, model_type, file, sentencepiece_model(kind, **ids), **named, **config)

    return write


PAD_FIRST: dict[str, Any] = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}


@dataclass(frozen=True)
class Case:
    """A tiny random checkpoint of a family."""

    tokenizer: Callable[..., None]
    architecture: str
    config: str
    settings: Mapping[str, Any]
    job: str = "translation"
    languages: tuple[str, str] | None = None
    """The codes of source and target, where the model is told them."""
    told: Mapping[str, str] = field(default_factory=dict)
    """What upstream's generate is told of the target: the argument, and the token that it names."""
    prefix: str = ""


CASES: dict[str, Case] = {
    "marian": Case(marian, "MarianMTModel", "MarianConfig", SIZES),
    "marian, two vocabularies": Case(
        marian_apart,
        "MarianMTModel",
        "MarianConfig",
        SIZES
        | {"share_encoder_decoder_embeddings": False, "pad_token_id": 2, "decoder_start_token_id": 2}
        | {"scale_embedding": True},
    ),
    "marian, several languages": Case(
        marian, "MarianMTModel", "MarianConfig", SIZES, languages=("", "fra"), prefix=">>fra<< "
    ),
    "t5": Case(
        with_model("t5", "spiece.model", **PAD_FIRST),
        "T5ForConditionalGeneration",
        "T5Config",
        T5_SIZES | T5_IDS,
        job="summarization",
        prefix="summarize: ",
    ),
    "t5, translating": Case(
        with_model("t5", "spiece.model", **PAD_FIRST),
        "T5ForConditionalGeneration",
        "T5Config",
        T5_SIZES | T5_IDS,
        languages=("en", "de"),
        prefix="translate English to German: ",
    ),
    "bart": Case(bart, "BartForConditionalGeneration", "BartConfig", SIZES | FAIRSEQ_IDS, job="summarization"),
    "pegasus": Case(
        with_model("pegasus", "spiece.model", **PAD_FIRST),
        "PegasusForConditionalGeneration",
        "PegasusConfig",
        SIZES | T5_IDS,
        job="summarization",
    ),
    "mbart": Case(
        with_model("mbart", FAIRSEQ_FILE, name="MBartTokenizer"),
        "MBartForConditionalGeneration",
        "MBartConfig",
        SIZES | FAIRSEQ_IDS,
        languages=("de_DE", "ro_RO"),
        told={"decoder_start_token_id": "ro_RO"},
    ),
    "mbart50": Case(
        with_model("mbart", FAIRSEQ_FILE, name="MBart50Tokenizer"),
        "MBartForConditionalGeneration",
        "MBartConfig",
        SIZES | FAIRSEQ_IDS,
        languages=("de_DE", "ro_RO"),
        told={"forced_bos_token_id": "ro_RO"},
    ),
    "m2m_100": Case(
        m2m_100,
        "M2M100ForConditionalGeneration",
        "M2M100Config",
        SIZES | FAIRSEQ_IDS,
        languages=("de", "fr"),
        told={"forced_bos_token_id": "__fr__"},
    ),
    "nllb": Case(
        with_model("m2m_100", FAIRSEQ_FILE, "bpe", "NllbTokenizer"),
        "M2M100ForConditionalGeneration",
        "M2M100Config",
        SIZES | FAIRSEQ_IDS,
        languages=("deu_Latn", "fra_Latn"),
        told={"forced_bos_token_id": "fra_Latn"},
    ),
}
T5_TASKS = {
    "summarization": {"prefix": "summarize: ", "min_length": 5, "no_repeat_ngram_size": 2},
    "translation_en_to_de": {"prefix": "translate English to German: "},
    "translation_en_to_fr": {"prefix": "translate English to French: "},
}


class Checkpoint(NamedTuple):
    """A folder as the Hub has it, and the same for upstream."""

    folder: Path
    reference: Any
    tokenizer: Any


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Checkpoint]:
    @cache
    def checkpoint(name: str) -> Checkpoint:
        case, folder = CASES[name], tmp_path_factory.mktemp("checkpoint")
        case.tokenizer(folder)
        sizes = [tokenizer.vocabulary_size for tokenizer in Tokenizer.load_sides(folder).values()]
        apart = case.settings.get("share_encoder_decoder_embeddings") is False
        settings: dict[str, Any] = {"vocab_size": max(sizes)}
        if apart:
            settings = {"vocab_size": sizes[0], "decoder_vocab_size": sizes[1]}
        if case.config == "MarianConfig":
            last = {"pad_token_id": max(sizes) - 1, "decoder_start_token_id": max(sizes) - 1}
            settings |= {"eos_token_id": 0, "forced_eos_token_id": 0, **last}
        settings |= case.settings
        config = getattr(transformers, case.config)(**settings)
        reference: Any = make(case.architecture, config)
        never = [[settings["pad_token_id"] if case.config == "MarianConfig" else max(sizes) - 1]]
        reference.generation_config.update(max_length=LENGTH, bad_words_ids=never, no_repeat_ngram_size=1)
        reference.save_pretrained(folder)
        if case.config == "T5Config":
            edit(folder / "config.json", task_specific_params=T5_TASKS)
        return Checkpoint(folder, reference, upstream_tokenizer(case, folder, tmp_path_factory.mktemp("reference")))

    return checkpoint


def upstream_tokenizer(case: Case, folder: Path, place: Path) -> Any:
    """Upstream's own; but one of ours where it reads the folder otherwise than the model was trained.

    ``tests/parity/test_tokenizers.py`` says of which that is so, and proves ours equal to sentencepiece. Of M2M-100
    upstream would leave the tokens of languages in what it decodes.
    """
    if case.tokenizer in (marian, marian_apart, bart) or case.config == "T5Config":
        return transformers.AutoTokenizer.from_pretrained(folder)
    case.tokenizer(place, **({"src_lang": case.languages[0]} if case.languages else {}))
    Tokenizer.load(place).save(place)
    return transformers.AutoTokenizer.from_pretrained(place)


def edit(file: Path, **changes: Any) -> None:
    write_json(file, json.loads(file.read_text(encoding="utf-8")) | changes)


def loaded(name: str, folder: Path) -> TextToText:
    case = CASES[name]
    task = heedful.load(folder, task=case.job)
    assert isinstance(task, TextToText)
    if case.languages is not None:
        source, target = case.languages
        task.set_languages(source=source or None, target=target)
    return task


def upstream(name: str, checkpoint: Checkpoint, **options: Any) -> list[str]:
    case, tokenizer = CASES[name], checkpoint.tokenizer
    told = {argument: tokenizer.convert_tokens_to_ids(token) for argument, token in case.told.items()}
    answers = []
    for text in TEXTS:
        ids = torch.tensor([tokenizer(case.prefix + text)["input_ids"]])
        with torch.no_grad(), in_float64():
            (written,) = checkpoint.reference.generate(ids, do_sample=False, **told, **options)
        answers.append(tokenizer.decode(written, skip_special_tokens=True).strip())
    return answers


@pytest.mark.parametrize("num_beams", [1, 4])
@pytest.mark.parametrize("name", CASES)
def test_texts_are_those_of_upstream(name: str, num_beams: int, checkpoints: Callable[[str], Checkpoint]) -> None:
    checkpoint = checkpoints(name)
    task = loaded(name, checkpoint.folder)
    task.card = task.card.model_copy(
        update={"generation": task.card.generation.model_copy(update={"num_beams": num_beams})}
    )
    particular = {} if name != "t5" else {"min_length": 5, "no_repeat_ngram_size": 2}
    expected = upstream(name, checkpoint, num_beams=num_beams, **particular)
    assert [answer.text for answer in task.predict(TEXTS)] == expected
    assert len(set(expected)) > 2, "what is written depends on what was read"


@pytest.mark.parametrize("name", CASES)
def test_a_saved_checkpoint_answers_the_same(
    name: str, checkpoints: Callable[[str], Checkpoint], tmp_path: Path
) -> None:
    task = loaded(name, checkpoints(name).folder)
    task.save(tmp_path / "saved")
    again = heedful.load(tmp_path / "saved")
    assert again.predict(TEXTS) == task.predict(TEXTS)
    assert (tmp_path / "saved" / Side.TARGET.file).exists() == name.startswith("marian")


@pytest.mark.parametrize("name", CASES)
def test_a_saved_checkpoint_goes_out_as_it_came(
    name: str, checkpoints: Callable[[str], Checkpoint], tmp_path: Path
) -> None:
    folder = checkpoints(name).folder
    loaded(name, folder).save(tmp_path / "ours")
    convert(tmp_path / "ours", tmp_path / "out", to="huggingface")
    written = load_file(tmp_path / "out" / "model.safetensors")
    original = load_file(folder / "model.safetensors")
    assert written
    assert all(torch.equal(original[key], tensor) for key, tensor in written.items())
    assert json.loads((tmp_path / "out" / "config.json").read_text())["architectures"] == [CASES[name].architecture]


@pytest.mark.parametrize("name", ["marian, several languages", "mbart50", "m2m_100"])
def test_languages_that_a_model_does_not_know_are_refused(name: str, checkpoints: Callable[[str], Checkpoint]) -> None:
    folder = checkpoints(name).folder
    task = heedful.load(folder, task="translation")
    assert isinstance(task, TextToText)
    assert any("set_languages" in note for note in task.notes)
    with pytest.raises(RequestError, match="does not know the language 'tlh'"):
        task.set_languages(target="tlh")
    assert task.card.target_language is None


def test_t5_translates_between_the_languages_of_its_prefixes_only(checkpoints: Callable[[str], Checkpoint]) -> None:
    task = heedful.load(checkpoints("t5").folder, task="translation")
    assert isinstance(task, TextToText)
    assert any("translation_en_to_fr" in note for note in task.notes)
    with pytest.raises(RequestError, match="from 'de' to 'en'"):
        task.set_languages(source="de", target="en")
    task.set_languages(source="en", target="fr")
    assert task.card.prefix == "translate English to French: "


def test_targets_are_what_the_decoder_is_trained_to_write(checkpoints: Callable[[str], Checkpoint]) -> None:
    """The token that comes first when a text is written comes first when one is learnt too."""
    task = loaded("m2m_100", checkpoints("m2m_100").folder)
    batch = task.collate([Example("read", None, (), 1, target="the page")])
    (text,) = task.target_tokenizer.encode_batch(["the page"], language="fr")
    assert batch.targets.tolist() == [[*text.ids]]
    assert batch.decoder_ids.tolist() == [[FAIRSEQ_IDS["decoder_start_token_id"], *text.ids[:-1]]]
    assert text.ids[0] == task.tokenizer.target_start("fr")


def test_a_checkpoint_that_does_not_say_where_to_begin_is_refused(
    checkpoints: Callable[[str], Checkpoint], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(checkpoints("t5").folder, tmp_path / "copy"))
    for file in ("config.json", "generation_config.json"):
        edit(folder / file, decoder_start_token_id=None)
    with pytest.raises(CheckpointError, match="names no decoder_start_token_id"):
        heedful.load(folder, task="summarization")
