"""Translators and summarizers: what they read, how they learn, and what they answer."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import heedful
from heedful.data import Columns, Example, ExampleStore
from heedful.errors import CheckpointError, DataError, HeedfulError, RecipeError, RequestError
from heedful.generation import generate
from heedful.model import UniformSpec
from heedful.tasks import (
    JOBS,
    CheckpointSource,
    SummarizationSettings,
    Summarizer,
    TextToText,
    TranslationSettings,
    Translator,
)
from heedful.tasks.text_to_text.batch import IGNORED
from heedful.tasks.text_to_text.options import AnswerOptions
from heedful.text import Side, TokenizerSettings
from heedful.training import Run, train

WORDS = dict(
    zip(
        ["one", "two", "three", "four", "five", "six", "red", "green", "blue", "house"],
        ["eins", "zwei", "drei", "vier", "fünf", "sechs", "rot", "grün", "blau", "haus"],
        strict=True,
    )
)
TOKENIZER = {"kind": "bpe", "vocabulary_size": 300}
MODEL = {"d_model": 32, "num_layers": 1, "num_heads": 2, "d_ff": 64}
SETTINGS = {"translation": TranslationSettings, "summarization": SummarizationSettings}
KINDS: dict[str, type[TextToText]] = {"translation": Translator, "summarization": Summarizer}


def pairs(count: int = 30) -> list[dict[str, str]]:
    """Texts of one to five words, and the same ones in another language."""
    chance = Random(0)
    texts = [chance.choices(list(WORDS), k=1 + number % 5) for number in range(count)]
    return [{"text": " ".join(words), "target": " ".join(WORDS[word] for word in words)} for words in texts]


def examples(count: int = 30) -> list[Example]:
    return [Example(row["text"], None, (), number, target=row["target"]) for number, row in enumerate(pairs(count), 1)]


@pytest.fixture(scope="module")
def store() -> Iterator[ExampleStore]:
    with ExampleStore(examples()) as made:
        yield made


@pytest.fixture(scope="module")
def untrained(store: ExampleStore) -> Callable[..., TextToText]:
    """Make a task with random weights; keywords are its ``task`` section."""

    def make(job: str = "translation", **section: Any) -> TextToText:
        made: TextToText = JOBS[job].create(
            SETTINGS[job].model_validate({"job": job, "max_length": 32, "max_target_length": 24, **section}),
            TokenizerSettings.model_validate(TOKENIZER),
            UniformSpec.model_validate(MODEL),
            store,
            Columns(),
            seed=1,
        )
        made.network.double().eval()
        return made

    return make


@pytest.fixture(scope="module", params=sorted(KINDS))
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of either job that learnt the pairs by heart."""
    folder = tmp_path_factory.mktemp(request.param)
    return train(recipe(folder, job=request.param))


def recipe(folder: Path, *, job: str = "translation", rows: Any = None, **sections: Any) -> dict[str, Any]:
    file = folder / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in (pairs() if rows is None else rows)), encoding="utf-8")
    return {
        "task": {"job": job, "max_length": 32, "max_target_length": 24, "generation": {"num_beams": 2}},
        "data": {"train": str(file), "validation": str(file)},
        "tokenizer": TOKENIZER,
        "model": {**MODEL, "dropout": 0.0},
        "training": {"epochs": 90, "evaluate_every": 45, "learning_rate": 0.005, "tokens_per_batch": 400, "threads": 1},
        "output": str(folder / "run"),
        **sections,
    }


# Batches


def test_a_batch_holds_the_pairs_in_order(untrained: Callable[..., TextToText]) -> None:
    task, some = untrained(), examples(7)
    batch = task.collate(some)
    with ExampleStore(some) as store:
        lengths = task.lengths(store)
    sources = task.tokenizer.encode_batch([example.text for example in some])
    targets = task.tokenizer.encode_batch([example.target or "" for example in some])
    start, end = task.tokenizer.special.bos, task.tokenizer.special.eos
    for row, (source, target) in enumerate(zip(sources, targets, strict=True)):
        words = [token for token, special in zip(target.ids, target.special, strict=True) if not special]
        length = len(words) + 1
        assert batch.ids[row][batch.mask[row]].tolist() == source.ids
        assert not batch.mask[row, len(source.ids) :].any()
        assert batch.targets[row].tolist() == [*words, end, *[IGNORED] * (batch.targets.shape[1] - length)]
        assert batch.decoder_ids[row, :length].tolist() == [start, *words], "the decoder reads what stands before"
        assert batch.hideable[row][batch.mask[row]].tolist() == [not special for special in source.special]
    assert batch.num_targets == int((batch.targets != IGNORED).sum())
    assert batch.num_tokens == int(batch.mask.sum()) + batch.num_targets == int(lengths.sum())
    assert batch.num_cells == batch.ids.numel() + batch.targets.numel()


def test_the_loss_is_not_changed_by_what_stands_beside_a_pair(untrained: Callable[..., TextToText]) -> None:
    task, some = untrained(), examples(9)
    alone = sum(float(task.loss(task.collate([example])).detach()) for example in some)
    assert float(task.loss(task.collate(some)).detach()) == pytest.approx(alone, rel=1e-12)


def test_a_long_target_is_cut_and_keeps_its_end(untrained: Callable[..., TextToText]) -> None:
    task = untrained(max_target_length=8)
    batch = task.collate([Example("one", None, (), 1, target="eins zwei drei vier " * 10)])
    assert batch.targets.shape == (1, 8)
    assert batch.targets[0, -1] == task.tokenizer.special.eos
    assert batch.targets.flatten().tolist().count(task.tokenizer.special.eos or -1) == 1


def test_a_long_source_is_cut_and_said(untrained: Callable[..., TextToText]) -> None:
    task = untrained(max_length=8)
    (answer,) = task.predict(["one two three four " * 10], AnswerOptions(long_input="truncate"))
    assert answer.cut_tokens > 0
    assert task.collate([Example("one two " * 20, None, (), 1, target="eins")]).ids.shape == (1, 8)


def test_subword_dropout_cuts_words_anew_in_each_epoch(untrained: Callable[..., TextToText]) -> None:
    task, some = untrained(objective={"subword_dropout": 0.5}), examples(10)

    def cuts(seed: int | None) -> tuple[list[int], list[int]]:
        batch = task.collate(some, seed=seed)
        return batch.ids.flatten().tolist(), batch.targets.flatten().tolist()

    assert task.lengths_vary
    assert cuts(1) == cuts(1)
    for side in (0, 1):
        assert cuts(1)[side] != cuts(2)[side]
        assert cuts(1)[side] != cuts(None)[side]
    assert cuts(None) == cuts(None)
    with ExampleStore(some) as store:
        assert int(task.lengths(store, seed=1).sum()) == task.collate(some, seed=1).num_tokens


def test_without_subword_dropout_a_seed_changes_nothing(untrained: Callable[..., TextToText]) -> None:
    task, some = untrained(), examples(10)
    assert not task.lengths_vary
    one, other = task.collate(some, seed=1), task.collate(some)
    assert torch.equal(one.ids, other.ids)
    assert torch.equal(one.targets, other.targets)


def test_token_dropout_hides_text_in_training_only(untrained: Callable[..., TextToText]) -> None:
    task = untrained(objective={"token_dropout": 0.6})
    batch = task.collate(examples(10))
    seen: list[torch.Tensor] = []
    task.model.token_embedding.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    task.loss(batch)
    assert torch.equal(seen[0], batch.ids)
    seen.clear()
    task.network.train()
    task.loss(batch)
    hidden = seen[0].eq(task.tokenizer.special.mask or -1)
    assert hidden.any()
    assert not (hidden & ~batch.hideable).any()
    assert torch.equal(seen[0][~hidden], batch.ids[~hidden])


# Answers


def test_answers_are_those_of_generate(untrained: Callable[..., TextToText]) -> None:
    task = untrained(generation={"num_beams": 3, "num_return_sequences": 2, "max_new_tokens": 12})
    texts = [row["text"] for row in pairs(8)]
    for text, answer in zip(texts, task.predict(texts), strict=True):
        (encoding,) = task.tokenizer.encode_batch([text])
        (hypotheses,) = generate(task.model, torch.tensor([encoding.ids]), settings=task.card.generation)
        written = [task.tokenizer.decode(hypothesis.tokens).strip() for hypothesis in hypotheses]
        assert [answer.text, *answer.alternatives] == written
        assert answer.score == pytest.approx(hypotheses[0].score, rel=1e-12)
        assert answer.is_complete == (hypotheses[0].tokens[-1] == task.tokenizer.special.eos)


@given(order=st.permutations(range(8)), count=st.integers(1, 8), look_ahead=st.integers(1, 9))
@settings(max_examples=15, deadline=None)
def test_an_answer_does_not_depend_on_the_texts_beside_it(
    untrained: Callable[..., TextToText], order: list[int], count: int, look_ahead: int
) -> None:
    task, some = untrained(generation={"num_beams": 2, "max_new_tokens": 6}), examples(8)
    chosen = [some[number] for number in order[:count]]
    streamed = list(task.predict_stream(chosen, look_ahead=look_ahead))
    assert [example for example, _ in streamed] == chosen
    for example, answer in streamed:
        (alone,) = task.predict([example.text])
        assert answer.text == alone.text
        assert answer.score == pytest.approx(alone.score, rel=1e-12)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_text_is_refused(untrained: Callable[..., TextToText], text: str) -> None:
    with pytest.raises(DataError, match="text 2 is empty"):
        untrained().predict(["one", text])
    with pytest.raises(DataError, match="text 1 is empty"):
        next(untrained().stream(text))


@pytest.mark.parametrize("text", [None, 5, b"two"])
def test_what_is_no_text_is_refused(untrained: Callable[..., TextToText], text: Any) -> None:
    with pytest.raises(RequestError, match=f"text 2 is {type(text).__name__} .*, and no string"):
        untrained().predict(["one", text])


def test_a_single_string_is_no_list_of_texts(untrained: Callable[..., TextToText]) -> None:
    with pytest.raises(RequestError, match="a list of texts"):
        untrained().predict("one")


def test_a_model_of_one_pair_has_the_languages_of_its_recipe(untrained: Callable[..., TextToText]) -> None:
    task = untrained(source_language="en", target_language="de")
    task.set_languages(source="en", target="de")
    assert (task.card.source_language, task.card.target_language) == ("en", "de")
    with pytest.raises(RequestError, match="translates from en to de, and the target is to be 'fr'"):
        task.set_languages(target="fr")


def test_where_the_recipe_is_silent_the_user_says_them(untrained: Callable[..., TextToText]) -> None:
    task = untrained()
    task.set_languages(source="en")
    task.set_languages(target="de")
    assert (task.card.source_language, task.card.target_language) == ("en", "de")
    assert task.predict(["one two"])


# Learning


def test_a_run_learns_its_pairs_by_heart(run: Run) -> None:
    task = run.task
    assert isinstance(task, TextToText)
    assert type(task) is KINDS[task.job]
    rows = pairs()
    answers = task.predict([row["text"] for row in rows])
    right = sum(answer.text == row["target"] for answer, row in zip(answers, rows, strict=True))
    assert right >= 25
    assert all(answer.score <= 0 for answer in answers)
    assert run.evaluations["validation"].metrics[task.main_metric].value > 80
    assert set(run.evaluations["validation"].metrics) == set(task.metrics)


def test_a_saved_run_answers_the_same(run: Run, tmp_path: Path) -> None:
    texts = [row["text"] for row in pairs()]
    loaded = heedful.load(run.folder)
    assert isinstance(loaded, TextToText)
    assert type(loaded) is type(run.task)
    assert loaded.card == run.task.card
    assert loaded.predict(texts) == run.task.predict(texts)
    loaded.save(tmp_path / "copy")
    assert heedful.load(tmp_path / "copy").predict(texts) == loaded.predict(texts)
    assert not (tmp_path / "copy" / Side.TARGET.file).exists(), "one vocabulary serves both sides"


def test_evaluating_a_run_again_gives_its_figures(run: Run, store: ExampleStore) -> None:
    assessment = heedful.load(run.folder).assess(store, resamples=20)
    before = run.evaluations["validation"].metrics
    assert {name: value.value for name, value in assessment.metrics.items()} == {
        name: value.value for name, value in before.items()
    }


def test_the_other_job_is_refused(run: Run) -> None:
    (other,) = set(KINDS) - {run.task.job}
    with pytest.raises(RequestError, match=f"trained for {run.task.job}, not for {other}"):
        heedful.load(run.folder, task=other)


@pytest.mark.parametrize("job", sorted(KINDS))
def test_a_run_goes_on_from_a_run(job: str, run: Run, store: ExampleStore, tmp_path: Path) -> None:
    """Of the other job too: what it can do is in its weights."""
    source = CheckpointSource(checkpoint=str(run.folder))
    section = {"job": job, "max_length": 32, "max_target_length": 24}
    task = JOBS[job].create(SETTINGS[job].model_validate(section), None, source, store, Columns(), seed=1)
    assert task.card.job == job
    assert task.card.results == {}
    texts = [row["text"] for row in pairs()]
    assert [answer.text for answer in task.predict(texts)] == [answer.text for answer in run.task.predict(texts)]
    task.save(tmp_path / "saved")
    assert type(heedful.load(tmp_path / "saved")) is KINDS[job]


def test_a_run_that_writes_nothing_is_no_start(tmp_path: Path, store: ExampleStore) -> None:
    (tmp_path / "task.json").write_text('{"job": "classification", "labels": ["a", "b"]}', encoding="utf-8")
    section = SETTINGS["translation"].model_validate({"job": "translation"})
    with pytest.raises(CheckpointError, match="trained for 'classification', and writes no text"):
        JOBS["translation"].create(section, None, CheckpointSource(checkpoint=str(tmp_path)), store, Columns(), seed=1)


def test_losses_of_a_fresh_model_are_those_of_guessing(untrained: Callable[..., TextToText]) -> None:
    task = untrained(objective={"label_smoothing": 0.0})
    batch = task.collate(examples())
    guessing = math.log(task.tokenizer.vocabulary_size)
    assert float(task.loss(batch).detach()) / batch.num_targets == pytest.approx(guessing, rel=0.3)


# Bad input


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": "one"}], "target"),
        ([{"text": "one", "target": ""}], "'target' is empty"),
        ([{"text": " ", "target": "eins"}], "'text' is empty"),
        ([{"text": "one", "target": None}], "'target' holds nothing"),
        ([{"text": "one", "target": 3}], "not a text"),
    ],
)
def test_rows_that_are_no_pairs_are_named(rows: list[dict[str, Any]], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        train(recipe(tmp_path, rows=rows))
    assert not (tmp_path / "run").exists()


def test_data_without_targets_do_not_pass_the_check(untrained: Callable[..., TextToText]) -> None:
    with ExampleStore([Example("one", None, (), 1)]) as bare, pytest.raises(DataError, match=r"^these: .*no target"):
        untrained().check(bare, name="these")
    with ExampleStore([]) as empty, pytest.raises(DataError, match=r"^these: .*no example"):
        untrained().check(empty, name="these")


def test_a_checkpoint_that_cannot_write_is_refused(bert_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="family bert that writes no text"):
        heedful.load(bert_folder, task="translation")
    given = recipe(tmp_path, model={"checkpoint": str(bert_folder)})
    del given["tokenizer"]
    with pytest.raises(CheckpointError, match="family bert that writes no text"):
        train(given)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"spec": {"vocabulary_size": 300, "d_model": 16, "encoder": {"layers": []}}}, "encoder"),
        ({"module": f"{Path(__file__).parents[3] / 'examples' / 'custom_model.py'}:build"}, "cannot write"),
    ],
)
def test_a_model_that_cannot_write_is_refused(model: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(HeedfulError, match=message):
        train(recipe(tmp_path, model=model))


def test_a_section_of_another_job_is_told_by_its_own_fields(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"task\.labels"):
        train(recipe(tmp_path, task={"job": "translation", "labels": "multi"}))
    with pytest.raises(RecipeError, match=r"task\.job: 'translate' is not known"):
        train(recipe(tmp_path, task={"job": "translate"}))
