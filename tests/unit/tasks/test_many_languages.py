"""One model that writes several languages: each row says which one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import heedful
from heedful.data import Columns, Example, ExampleStore, LabelKind, read_examples
from heedful.errors import DataError, RequestError, UnsupportedError
from heedful.tasks import Translator
from heedful.text import TargetMark, Tokenizer, TokenizerSettings
from heedful.training import Run, train

WORDS = {
    "de": {"one": "eins", "two": "zwei", "three": "drei", "four": "vier", "red": "rot", "green": "grün"},
    "fr": {"one": "un", "two": "deux", "three": "trois", "four": "quatre", "red": "rouge", "green": "vert"},
}
ROWS = [
    {"text": f"{a} {b}", "target": f"{words[a]} {words[b]}", "into": language}
    for language, words in WORDS.items()
    for a in words
    for b in words
]
COLUMNS = Columns(target_language="into")


def write(folder: Path, rows: list[dict[str, str]], name: str = "pairs.jsonl") -> str:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(folder / name)


def recipe(folder: Path, rows: list[dict[str, str]] = ROWS, **sections: Any) -> dict[str, Any]:
    data = write(folder, rows)
    base: dict[str, Any] = {
        "task": {"job": "translation", "max_length": 16, "max_target_length": 16},
        "data": {"train": data, "validation": data, "columns": {"target_language": "into"}},
        "tokenizer": {"vocabulary_size": 320},
        "model": {"d_model": 32, "num_layers": 1, "num_heads": 2, "d_ff": 64, "dropout": 0.0},
        "training": {
            "epochs": 100,
            "evaluate_every": 100,
            "learning_rate": 0.005,
            "tokens_per_batch": 400,
            "threads": 1,
        },
        "output": str(folder / "run"),
    }
    return base | sections


@pytest.fixture(scope="module", params=[True, False], ids=["one vocabulary", "two vocabularies"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    task = {"job": "translation", "max_length": 16, "max_target_length": 16, "shared_vocabulary": request.param}
    return train(recipe(tmp_path_factory.mktemp("languages"), task=task))


def test_the_language_asked_for_is_written(run: Run) -> None:
    """The same texts, into either language, after saving and loading."""
    assert run.evaluations["validation"].metrics["chrf"].value > 99
    task: Translator = heedful.load(run.folder)
    for language in WORDS:
        task.set_languages(target=language)
        rows = [row for row in ROWS if row["into"] == language]
        assert [answer.text for answer in task.predict([row["text"] for row in rows])] == [
            row["target"] for row in rows
        ]


def test_rows_of_both_languages_are_answered_side_by_side(run: Run, tmp_path: Path) -> None:
    task: Translator = heedful.load(run.folder)
    mixed = [row for pair in zip(ROWS[:36], ROWS[36:], strict=True) for row in pair]
    with ExampleStore(task.read(write(tmp_path, mixed))) as store:
        answers = task.write(list(store))
    assert [answer.text for answer in answers] == [row["target"] for row in mixed]


def test_no_language_chosen_is_refused_with_the_list(run: Run) -> None:
    task: Translator = heedful.load(run.folder)
    with pytest.raises(RequestError, match=r"nothing says which one is wanted\n.*--to.*known: de, fr"):
        task.predict(["one two"])
    with pytest.raises(RequestError, match="does not know the language 'tlh'; known: de, fr"):
        task.set_languages(target="tlh")


def test_a_single_language_need_not_be_chosen(tmp_path: Path) -> None:
    short = {"training": {"max_steps": 1, "threads": 1}}
    task = train(recipe(tmp_path, [row for row in ROWS if row["into"] == "fr"], **short)).task
    assert task.card.target_language == "fr"
    (ids,) = (source.ids for source, _ in task.encode_sources([Example("one", None, (), 1)]))
    assert ids[:2] == [task.tokenizer.special.bos, task.tokenizer.target_start("fr")]


def test_a_language_that_only_the_validation_data_have_is_named_at_once(tmp_path: Path) -> None:
    other = write(tmp_path, [{**ROWS[0], "into": "frr"}], "other.jsonl")
    wrong = recipe(tmp_path)
    wrong["data"]["validation"] = other
    with pytest.raises(
        DataError, match=r"the validation data.*'frr', which the model does not know\nDid you mean fr\?"
    ):
        train(wrong)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("code", ["d e", "", "-de", ">>de<<", "d" * 41, 7, None])
def test_what_is_no_code_is_named_with_its_row(code: Any, tmp_path: Path) -> None:
    rows = [ROWS[0], {**ROWS[1], "into": code}]
    with pytest.raises(DataError, match=r"line 2: "):
        list(read_examples(write(tmp_path, rows), COLUMNS, label_kind=LabelKind.TEXT))


def test_the_column_is_read_where_targets_are_only(tmp_path: Path) -> None:
    data = write(tmp_path, [{"text": "one"}])
    (example,) = read_examples(data, COLUMNS, label_kind=LabelKind.NONE)
    assert example.target_language is None
    (example,) = read_examples(write(tmp_path, ROWS[:1]), COLUMNS, label_kind=LabelKind.TEXT)
    assert example.target_language == "de"
    with pytest.raises(DataError, match="has no column 'into'"):
        list(read_examples(write(tmp_path, [{"text": "one", "target": "eins"}]), COLUMNS, label_kind=LabelKind.TEXT))


def test_a_store_knows_its_languages() -> None:
    languages = [None, "fr", "de", "fr"]
    with ExampleStore(Example("a", None, (), 1, target_language=language) for language in languages) as store:
        assert [example.target_language for example in store] == languages
        assert store.languages() == ("de", "fr")


def test_a_language_model_is_told_no_languages(tmp_path: Path) -> None:
    layer = {"self_attention": {"num_heads": 2, "head_dim": 8}}
    spec = {"vocabulary_size": 400, "d_model": 16, "decoder": {"layers": [layer]}, "output": {}}
    with pytest.raises(UnsupportedError, match="this model is not told it in front of the source"):
        train(recipe(tmp_path, model={"spec": spec}))


def test_a_mark_in_a_text_is_text(tmp_path: Path) -> None:
    """Nobody who writes a text can choose its language; a saved tokenizer knows its languages again."""
    tokenizer = Tokenizer.train(["one two"], TokenizerSettings(vocabulary_size=300), languages=["de", "zh_CN"])
    plain = Tokenizer.train(["one two"], TokenizerSettings(vocabulary_size=300))
    assert tokenizer.vocabulary_size == plain.vocabulary_size + 2
    (marked,) = tokenizer.encode_batch([">>de<< one"], language="zh_CN")
    assert tokenizer.target_start("zh_CN") in marked.ids
    assert tokenizer.target_start("de") not in marked.ids
    assert tokenizer.decode(marked.ids) == ">>de<< one"
    tokenizer.save(tmp_path)
    again = Tokenizer.load(tmp_path)
    assert (again.languages, again.target_mark) == (("de", "zh_CN"), TargetMark.SOURCE)
    assert again.encode_batch(["one"], language="de") == tokenizer.encode_batch(["one"], language="de")
