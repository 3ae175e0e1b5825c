"""Language models that translate and summarize: the text in a prompt, the answer behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.language_models import TURNS, gpt2, llama
from tests.parity.families.reference import in_float64
from tests.parity.foreign_tokenizers import write_json
from torch.nn import functional as F

import heedful
from heedful.data import Columns, Example, ExampleStore
from heedful.errors import CheckpointError, RecipeError, RequestError
from heedful.model import UniformSpec
from heedful.tasks import JOBS, SpecSource, TextToText, TranslationSettings
from heedful.tasks.text_to_text.batch import IGNORED
from heedful.text import Tokenizer, TokenizerSettings
from heedful.training import train

PROMPTS: dict[str, Any] = {
    "text": "English: {text}\nGerman:",
    "bare": "{text}",
    "chat": "chat",
    "chat with words": {"template": "Put this into German.\n{text}\nShortly!", "chat": True},
}
TEXTS = ["read the file", "  run the model ", "naïve 模型 😀 text.", "a token <|end|> and {text}", "recipe"]


@pytest.fixture(scope="module")
def gpt2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gpt2(tmp_path_factory.mktemp("gpt2"))


@pytest.fixture(scope="module", params=[gpt2, llama])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(request.param(tmp_path_factory.mktemp("language_model")))


def translator(folder: Path, prompt: Any = PROMPTS["text"], **card: Any) -> TextToText:
    task: TextToText = heedful.load(folder, task="translation", dtype="float64")
    task.set_prompt(prompt)
    task.card = task.card.model_copy(update=card)
    return task


def pairs(*targets: str) -> list[Example]:
    return [
        Example(text, None, (), number, target=target)
        for number, (text, target) in enumerate(zip(TEXTS, targets, strict=False), 1)
    ]


@pytest.fixture
def theirs(folder: Path, tmp_path: Path) -> Any:
    """Upstream's tokenizer, from one file: of the older ones it reads some otherwise than they were trained."""
    (tmp_path / "reference").mkdir()
    Tokenizer.load(folder).save(tmp_path / "reference")
    return transformers.AutoTokenizer.from_pretrained(tmp_path / "reference")


# What is read


def test_a_prompt_is_what_upstream_makes_of_the_whole(folder: Path, theirs: Any) -> None:
    task = translator(folder)
    for example, (encoding, cut) in zip(pairs(*TEXTS), task.encode_sources(pairs(*TEXTS)), strict=True):
        assert encoding.ids == theirs(f"English: {example.text}\nGerman:")["input_ids"]
        assert cut == 0


def test_a_conversation_is_what_upstreams_template_makes(gpt2_folder: Path) -> None:
    task, theirs = translator(gpt2_folder, PROMPTS["chat with words"]), Tokenizer.load(gpt2_folder)
    reference = transformers.AutoTokenizer.from_pretrained(gpt2_folder)
    reference.chat_template = TURNS
    (example,) = pairs("x")
    ((encoding, _),) = task.encode_sources([example])
    said = [{"role": "user", "content": f"Put this into German.\n{example.text}\nShortly!"}]
    expected = reference.apply_chat_template(said, add_generation_prompt=True, return_dict=False)
    assert encoding.ids == expected
    assert theirs.decode(encoding.ids, skip_special=False).endswith("<|start|>assistant\n")


@pytest.mark.parametrize("prompt", PROMPTS)
def test_only_the_text_is_cut_and_only_the_text_is_hidden(prompt: str, gpt2_folder: Path) -> None:
    task = translator(gpt2_folder, PROMPTS[prompt])
    ((whole, _),) = task.encode_sources([Example("b", None, (), 1)])
    room = len(whole) + 12
    task.card = task.card.model_copy(update={"max_length": room})
    text = "word " * 60
    ((encoding, cut),) = task.encode_sources([Example(text, None, (), 1)])
    assert len(encoding) == room
    assert cut > 0
    said = task.tokenizer.decode(encoding.ids, skip_special=False)
    before, _, after = task.tokenizer.decode(whole.ids, skip_special=False).rpartition("b")
    assert said.startswith(before)
    assert said.endswith(after)
    kept = said.removeprefix(before).removesuffix(after)
    assert text.startswith(kept)
    assert len(kept) > 20
    batch = task.collate([Example(text, None, (), 1, target="x")])
    hidden = [token for token, flag in zip(batch.ids[0].tolist(), batch.hideable[0].tolist(), strict=True) if flag]
    assert task.tokenizer.decode(hidden) in kept
    assert len(hidden) >= 10


def test_nothing_stands_between_prompt_and_answer(folder: Path) -> None:
    """Not even where the tokenizer would end each text by a special token."""
    task = translator(folder)
    ((encoding, _),) = task.encode_sources(pairs("x")[:1])
    assert encoding.ids[-1] not in {task.tokenizer.special.eos, task.tokenizer.special.sep}
    own = Tokenizer.train(TEXTS * 5, TokenizerSettings(kind="bpe", vocabulary_size=300))
    assert own.encode_batch(["a"])[0].ids[-1] == own.special.eos
    task.tokenizer = own
    ((encoding, _),) = task.encode_sources(pairs("x")[:1])
    assert encoding.ids[0] == own.special.bos
    assert own.special.eos not in encoding.ids


# What is learnt


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_loss_is_that_of_the_answers_alone(prompt: str, gpt2_folder: Path) -> None:
    task = translator(gpt2_folder, PROMPTS[prompt])
    task.objective = task.objective.model_copy(update={"label_smoothing": 0.0})
    examples = pairs("lies die Datei", "lauf", "naiver Text 😀", "ein Zeichen", "Rezept")
    batch = task.collate(examples)
    expected, count = 0.0, 0
    for example, (source, _) in zip(examples, task.encode_sources(examples), strict=True):
        answer = [*task.tokenizer.encode_batch([example.target or ""])[0].ids, 0]
        ids = torch.tensor([[*source.ids, *answer]])
        with torch.inference_mode():
            logits = task.model.logits(task.model.decode(ids))[0, len(source.ids) - 1 : -1]
        expected += float(F.cross_entropy(logits, torch.tensor(answer), reduction="sum"))
        count += len(answer)
    assert float(task.loss(batch).detach()) == pytest.approx(expected, rel=1e-12)
    assert batch.num_targets == count == int((batch.targets != IGNORED).sum())
    with ExampleStore(examples) as store:
        assert batch.num_tokens == int(task.lengths(store).sum()) == int(batch.mask.sum())
    assert batch.num_cells == batch.ids.numel()


# What is answered


@pytest.mark.parametrize("num_beams", [1, 4])
@pytest.mark.parametrize("prompt", ["text", "bare"])
def test_answers_are_those_of_upstream(prompt: str, num_beams: int, folder: Path, theirs: Any) -> None:
    task = translator(folder, PROMPTS[prompt])
    reference: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    options: dict[str, Any] = {"num_beams": num_beams, "max_new_tokens": 8, "no_repeat_ngram_size": 1}
    expected = []
    for text in TEXTS:
        ids = theirs(PROMPTS[prompt].replace("{text}", text), return_tensors="pt")["input_ids"]
        with in_float64():
            (written,) = reference.eval().generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, pad_token_id=0, **options
            )
        expected.append(task.tokenizer.decode(written[ids.shape[1] :].tolist()).strip())
    answers = task.write([Example(text, None, (), 1) for text in TEXTS], **options)
    assert [answer.text for answer in answers] == expected
    assert len(set(expected)) > 1


def test_a_saved_language_model_answers_the_same(folder: Path, tmp_path: Path) -> None:
    task = translator(folder)
    task.save(tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / "task.json").read_text())["prompt"]["template"] == PROMPTS["text"]
    assert heedful.load(tmp_path / "saved").predict(TEXTS) == task.predict(TEXTS)


def test_files_that_say_how_to_converse_do_not_make_answers_random(gpt2_folder: Path, tmp_path: Path) -> None:
    for file in gpt2_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    write_json(tmp_path / "generation_config.json", {"do_sample": True, "max_length": 7, "eos_token_id": [2, 0]})
    generation = heedful.load(tmp_path, task="summarization").card.generation
    assert (generation.do_sample, generation.eos_token_id) == (False, (2, 0))
    assert generation.max_new_tokens > 7


# Runs


def recipe(folder: Path, checkpoint: Path, rows: list[dict[str, str]], **task: Any) -> dict[str, Any]:
    file = folder / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {
        "task": {"job": "translation", "max_length": 40, "max_target_length": 16, **task},
        "data": {"train": str(file), "validation": str(file)},
        "model": {"checkpoint": str(checkpoint)},
        "output": str(folder / "run"),
    }


ROWS = [{"text": "read", "target": "lies"}, {"text": "file", "target": "Datei"}]


@pytest.fixture
def store() -> Iterator[ExampleStore]:
    with ExampleStore([Example(row["text"], None, (), 1, target=row["target"]) for row in ROWS * 9]) as made:
        yield made


def test_a_decoder_may_start_from_nothing(store: ExampleStore) -> None:
    task = JOBS["translation"].create(
        TranslationSettings(job="translation", max_length=16, max_target_length=16),
        TokenizerSettings(kind="bpe", vocabulary_size=300),
        SpecSource(spec=UniformSpec(d_model=16, num_layers=1, num_heads=2).decoder(300)),
        store,
        Columns(),
        seed=1,
    )
    assert task.card.prompt.template == "{text}\nTranslation:\n"
    assert len(task.predict(["read"])) == 1


# Bad input


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("Translate:", r"task\.prompt\.template: should hold \{text\} once, not 0 times"),
        ("{text} {text}", "not 2 times"),
        ({"template": "{text}", "talk": True}, r"task\.prompt\.talk: unknown key"),
        (7, r"task\.prompt"),
    ],
)
def test_prompts_without_one_place_for_the_text_are_refused(prompt: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=message):
        train(recipe(tmp_path, tmp_path, ROWS, prompt=prompt))


def test_a_template_is_rendered_for_each_text_and_not_for_each_answer(
    gpt2_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = translator(gpt2_folder, "chat")
    rendered, render = [], task.tokenizer.render_chat

    def watched(messages: Any) -> str:
        rendered.append(messages)
        return render(messages)

    monkeypatch.setattr(task.tokenizer, "render_chat", watched)
    answers = task.write(pairs(*TEXTS), examined=True, max_new_tokens=4)
    assert len(answers) == len(TEXTS)
    assert len(rendered) == 2, "once to encode all texts, once for where they begin"


def test_a_conversation_needs_a_chat_template(folder: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    task = heedful.load(folder, task="summarization")
    if "gpt2" in request.node.name:
        assert task.card.prompt.chat, "the usual prompt of a model made for conversations"
        return
    assert not task.card.prompt.chat
    with pytest.raises(RequestError, match="no chat template"):
        task.set_prompt("chat")
    with pytest.raises(RequestError, match="no chat template"):
        train(recipe(tmp_path, folder, ROWS, prompt="chat"))


def test_source_and_answer_share_the_positions(gpt2_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="texts of 129 tokens are wanted, and the model takes 128") as caught:
        train(
            recipe(tmp_path, gpt2_folder, ROWS)
            | {"task": {"job": "translation", "max_length": 100, "max_target_length": 29}}
        )
    assert "128 or less, together" in str(caught.value.remedy)
    card = heedful.load(gpt2_folder, task="translation").card
    assert card.max_length + card.max_target_length == 128
    assert card.generation.max_new_tokens <= card.max_target_length


def test_a_prompt_longer_than_the_model_is_told(gpt2_folder: Path) -> None:
    task = translator(gpt2_folder, "word " * 300 + "{text}")
    with pytest.raises(RequestError, match="leaves no room for text"):
        task.predict(["read"])


def test_a_prompt_is_refused_where_an_encoder_reads(store: ExampleStore) -> None:
    settings = TranslationSettings.model_validate({"job": "translation", "prompt": "{text}"})
    with pytest.raises(RequestError, match="the model has an encoder"):
        JOBS["translation"].create(
            settings,
            TokenizerSettings(kind="bpe", vocabulary_size=300),
            UniformSpec(d_model=16, num_layers=1, num_heads=2),
            store,
            Columns(),
            seed=1,
        )


def test_a_checkpoint_without_an_end_is_refused(gpt2_folder: Path, tmp_path: Path) -> None:
    for file in gpt2_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    for name in ("config.json", "generation_config.json"):
        write_json(tmp_path / name, json.loads((tmp_path / name).read_text()) | {"eos_token_id": None})
    with pytest.raises(CheckpointError, match="names no eos_token_id"):
        heedful.load(tmp_path, task="translation")
