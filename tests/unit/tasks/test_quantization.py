"""Rounding to 8-bit integers: what it costs is measured, what costs too much is left, and nothing else is touched."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import heedful
from heedful.checkpoint import distinct_tensors
from heedful.errors import CheckpointError, DataError, JobError, RequestError, UnsupportedError
from heedful.inference import INT8_FILE, linear_maps
from heedful.model import OutputSpec
from heedful.nn import LanguageModelHead
from heedful.nn.int8 import Int8FeedForward, Int8Linear, Int8Weights, is_rounded
from heedful.tasks import TextClassifier, Translator, quantization
from heedful.training import Run

Row = dict[str, Any]
PRODUCT = "model.output.product"


@pytest.fixture
def data(rows: tuple[Row, ...], jsonl: Callable[..., Path]) -> Path:
    return jsonl(rows, "held-out.jsonl")


@pytest.fixture
def classifier(run_copy: Path) -> TextClassifier:
    loaded: TextClassifier = heedful.load(run_copy)
    return loaded


@pytest.fixture(params=[True, False], ids=["tied", "own weight"])
def writer(ignorant: Callable[..., Any], request: pytest.FixtureRequest, tmp_path: Path) -> Translator:
    """A translator in a folder, whose vocabulary's weight is that of the tokens, or its own and with a bias."""
    made = ignorant("translation")
    made.network.float()
    if not request.param:
        model = made.model
        model.spec = model.spec.model_copy(update={"output": OutputSpec(tied=False, bias=True)})
        model.output = LanguageModelHead(model.d_model, model.spec.written_size, bias=True)
        for parameter in model.output.parameters():
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    made.save(tmp_path / "writer")
    loaded: Translator = heedful.load(tmp_path / "writer")
    return loaded


@pytest.fixture
def pairs(sentences: list[str], jsonl: Callable[..., Path]) -> Path:
    return jsonl([{"text": text, "target": text} for text in sentences], "pairs.jsonl")


def scores(classifier: TextClassifier, texts: list[str]) -> torch.Tensor:
    return torch.tensor([list(answer.scores.values()) for answer in classifier.predict(texts)])


def test_integers_are_kept_beside_the_weights_and_answer_like_them(
    classifier: TextClassifier, run_copy: Path, data: Path, texts: list[str]
) -> None:
    weights = (run_copy / "model.safetensors").read_bytes()
    before = {name: tensor.clone() for name, tensor in distinct_tensors(classifier.network).items()}
    done = heedful.quantize(classifier, data)
    assert (done.rounded, done.kept, done.examples) == (len(linear_maps(classifier.network)), (), len(texts))
    assert done.before - done.after <= 0.003
    assert json.loads(done.to_json())["file"] == str(run_copy / INT8_FILE)
    assert (run_copy / "model.safetensors").read_bytes() == weights
    assert all(torch.equal(tensor, before[name]) for name, tensor in distinct_tensors(classifier.network).items())
    rounded = heedful.load(run_copy, precision="int8")
    exact = scores(classifier, texts)
    apart = (scores(rounded, texts) - exact).abs().max()
    assert 0 < apart < 0.05
    assert rounded.notes == classifier.notes


def test_what_is_rounded_is_joined(classifier: TextClassifier, run_copy: Path, data: Path) -> None:
    heedful.quantize(classifier, data)
    rounded = heedful.load(run_copy, precision="int8")
    layer = rounded.model.encoder.layers[0]
    assert isinstance(layer.feed_forward, Int8FeedForward)
    assert isinstance(layer.self_attention.together, Int8Linear)
    assert isinstance(layer.self_attention.output, Int8Linear)
    assert not linear_maps(rounded.network)


def test_answers_do_not_depend_on_what_stands_beside_them(
    classifier: TextClassifier, run_copy: Path, data: Path, texts: list[str]
) -> None:
    kinds = [heedful.load(run_copy, precision="int8")]
    heedful.quantize(classifier, data)
    kinds.append(heedful.load(run_copy, precision="int8"))
    for rounded in kinds:
        alone = torch.cat([scores(rounded, [text]) for text in texts[:20]])
        torch.testing.assert_close(scores(rounded, texts)[:20], alone, rtol=0, atol=2e-6)


def test_without_calibration_inputs_are_rounded_row_by_row(
    classifier: TextClassifier, run_copy: Path, texts: list[str]
) -> None:
    rounded = heedful.load(run_copy, precision="int8")
    assert "not calibrated" in rounded.notes[-1]
    assert 0 < (scores(rounded, texts) - scores(classifier, texts)).abs().max() < 0.05


@pytest.fixture
def costly(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The metric falls by 10 points for each of these maps that is rounded."""
    names: list[str] = []
    judge = quantization._judged

    def judged(task: TextClassifier, *arguments: Any) -> Any:
        value = judge(task, *arguments)
        lost = sum(isinstance(task.network.get_submodule(name), Int8Linear) for name in names)
        return replace(value, value=1 - 0.1 * lost)

    monkeypatch.setattr(quantization, "_judged", judged)
    return names


def test_what_costs_too_much_stays_as_it_is(
    classifier: TextClassifier, run_copy: Path, data: Path, costly: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = list(linear_maps(classifier.network))
    order = {name: number for number, name in enumerate(names)}
    own = {linear: name for name, linear in linear_maps(classifier.network).items()}
    monkeypatch.setattr("heedful.inference.Inputs.error", lambda _, linear, __: -order[own[linear]])
    costly.append(names[2])  # the third to be left: 0, 1, 2, then 4 are tried
    done = heedful.quantize(classifier, data)
    assert done.kept == tuple(names[:4])
    assert (done.before, done.after) == (1.0, 1.0)
    stored = load_file(run_copy / INT8_FILE)
    assert {name.rpartition(".")[0] for name in stored} == set(names[4:])
    rounded = heedful.load(run_copy, precision="int8")
    assert is_rounded(rounded.network)
    assert set(linear_maps(rounded.network)) == set(names[:4])
    assert heedful.quantize(classifier, data, tolerance=10.1).kept == ()


def test_where_nothing_can_be_rounded_nothing_is_written(
    classifier: TextClassifier, run_copy: Path, data: Path, costly: list[str]
) -> None:
    costly += linear_maps(classifier.network)
    with pytest.raises(JobError, match=r"more than 0\.3 points of accuracy"):
        heedful.quantize(classifier, data)
    assert not (run_copy / INT8_FILE).exists()
    assert not is_rounded(classifier.network)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda tensors: tensors.pop(min(tensors)), "is not there as"),
        (lambda tensors: tensors.update({"model.nowhere.weight": torch.zeros(1)}), "no linear map of the network"),
        (lambda tensors: tensors.update({f"{named(tensors)}.more": torch.zeros(1)}), "is unknown"),
        (lambda tensors: tensors[f"{named(tensors)}.weight_scale"].mul_(1.01), "other weights"),
        (lambda tensors: tensors.update({f"{named(tensors)}.input_scale": torch.ones(2)}), "is not there as"),
        (lambda tensors: tensors.update({f"{named(tensors)}.weight": torch.ones(2, 2)}), "is not there as"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    spoil: Callable[[dict[str, torch.Tensor]], object],
    message: str,
    classifier: TextClassifier,
    run_copy: Path,
    data: Path,
) -> None:
    heedful.quantize(classifier, data)
    tensors = load_file(run_copy / INT8_FILE)
    spoil(tensors)
    save_file(tensors, run_copy / INT8_FILE)
    with pytest.raises(CheckpointError, match=message) as caught:
        heedful.load(run_copy, precision="int8")
    assert "heedful quantize" in str(caught.value)
    heedful.load(run_copy)


def named(tensors: dict[str, torch.Tensor]) -> str:
    return min(tensors).rpartition(".")[0]


def test_weights_alone_as_integers_need_no_calibration(
    classifier: TextClassifier, run_copy: Path, data: Path, texts: list[str]
) -> None:
    exact = scores(classifier, texts)
    heedful.quantize(classifier, data)  # whose inputs' spans are not looked at
    rounded = heedful.load(run_copy, precision="int8-weights")
    assert rounded.notes == classifier.notes
    assert not any(isinstance(module, Int8Linear) for module in rounded.network.modules())
    assert 0 < (scores(rounded, texts) - exact).abs().max() < 0.02
    alone = torch.cat([scores(rounded, [text]) for text in texts[:20]])
    torch.testing.assert_close(scores(rounded, texts)[:20], alone, rtol=0, atol=2e-6)


def test_weights_as_integers_take_a_quarter_of_the_memory(writer: Translator) -> None:
    rounded = heedful.load(writer.source, precision="int8-weights")
    maps = linear_maps(writer.network)
    by_name = {name: rounded.network.get_submodule(name) for name in maps}
    assert all(type(each) is Int8Weights for each in by_name.values())
    # What is left of fractions: biases, norms, the table that is looked up, and a scale for each output.
    product = maps.pop(PRODUCT)
    gone = sum(each.weight.numel() for each in maps.values())
    if product.weight is not writer.model.token_embedding.weight:
        gone += product.weight.numel()
    scales = sum(each.out_features for each in by_name.values())
    fractions = {
        task: sum(tensor.numel() for tensor in distinct_tensors(task.network).values() if tensor.is_floating_point())
        for task in (writer, rounded)
    }
    assert fractions[rounded] == fractions[writer] - gone + scales


def test_both_engines_write_the_same_by_weights_as_integers(writer: Translator, sentences: list[str]) -> None:
    eager, compiled = (
        heedful.load(writer.source, precision="int8-weights", engine=engine).predict(sentences[:3])
        for engine in ("eager", "openvino")
    )
    for one, two in zip(eager, compiled, strict=True):
        assert two.text == one.text
        assert two.score == pytest.approx(one.score, abs=1e-4)
        assert two.probabilities == pytest.approx(one.probabilities, abs=1e-4)  # of the pass that looks at answers


@pytest.mark.parametrize("precision", ["int8", "int8-weights"])
def test_a_rounded_network_is_neither_saved_nor_explained(run: Run, tmp_path: Path, precision: str) -> None:
    rounded = heedful.load(run.folder, precision=precision)
    with pytest.raises(UnsupportedError, match="cannot be saved"):
        rounded.save(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    with pytest.raises(UnsupportedError, match="has no gradients"):
        heedful.explain(rounded, "my card")
    with pytest.raises(UnsupportedError, match="no layers"):
        heedful.quantize(rounded, tmp_path / "rows.jsonl")


def test_bad_requests(classifier: TextClassifier, run_copy: Path, jsonl: Callable[..., Path], data: Path) -> None:
    with pytest.raises(RequestError, match="'int3' is no precision"):
        heedful.load(run_copy, precision="int3")
    with pytest.raises(DataError):
        heedful.quantize(classifier, jsonl([], "empty.jsonl"))
    shutil.rmtree(run_copy)
    with pytest.raises(RequestError, match="is no folder"):
        heedful.quantize(classifier, data)


@pytest.mark.parametrize("calibrated", [True, False])
def test_the_product_with_the_vocabulary_is_rounded_too(
    writer: Translator, pairs: Path, sentences: list[str], calibrated: bool
) -> None:
    exact = writer.model
    if calibrated:
        done = heedful.quantize(writer, pairs, tolerance=100)
        assert (done.rounded, done.kept) == (len(linear_maps(writer.network)), ())
        assert exact.output is not None and exact.output.product is None
        assert f"{PRODUCT}.weight" in load_file(Path(writer.source) / INT8_FILE)
    rounded = heedful.load(writer.source, precision="int8")
    model = rounded.model
    assert isinstance(model.output.product, Int8Linear)
    assert (model.output.product.span is not None) is calibrated
    assert model.output.weight is None and model.output.bias is None
    assert torch.equal(model.token_embedding.weight, exact.token_embedding.weight)
    with torch.inference_mode():
        hidden = exact.decode(torch.arange(12)[None], exact.encode(torch.arange(9)[None]))
        expected, found = exact.logits(hidden), model.logits(hidden)
    assert 0 < (found - expected).norm() / expected.norm() < 0.02
    assert all(min(answer.probabilities) > 0 for answer in rounded.predict(sentences[:2]))


def test_a_vocabulary_that_costs_too_much_stays_as_it_is(
    writer: Translator, pairs: Path, costly: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    costly.append(PRODUCT)
    size = writer.model.spec.written_size
    monkeypatch.setattr("heedful.inference.Inputs.error", lambda _, linear, __: linear.out_features == size)
    done = heedful.quantize(writer, pairs, tolerance=0.05)
    assert done.kept == (PRODUCT,)
    rounded = heedful.load(writer.source, precision="int8")
    assert rounded.model.output.product is None
    assert list(linear_maps(rounded.network)) == [PRODUCT]
    writer.save(Path(writer.source).parent / "again")  # no trace of what was tried
    assert heedful.load(Path(writer.source).parent / "again").model.spec == writer.model.spec


def test_bfloat16_moves_scores_by_its_own_size_and_leaves_the_head(
    run: Run, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = heedful.load(run.folder)
    monkeypatch.setattr(quantization, "multiplies_bfloat16", lambda: False)
    halved = heedful.load(run.folder, precision="bfloat16")
    assert halved.notes[-1].startswith("this processor has no products of bfloat16")
    assert halved.head.output.weight.dtype == torch.float32
    apart = (scores(halved, texts) - scores(exact, texts)).abs().max()
    assert 0 < apart < 0.03


def test_a_translator_writes_the_same_in_bfloat16(ignorant: Callable[..., Any], sentences: list[str]) -> None:
    translator = ignorant("translation")
    translator.network.float()
    exact = translator.predict(sentences[:3])
    quantization.set_precision(translator, "bfloat16", Path())
    found = translator.predict(sentences[:3])
    assert [len(answer.text) for answer in found] == [len(answer.text) for answer in exact]
    assert all(abs(one.score - two.score) < 0.1 for one, two in zip(found, exact, strict=True))
