"""The adapters that a run leaves: under the names of the checkpoint's family, they are what PEFT makes of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import save_file
from torch import nn
from transformers import BertModel

import heedful
from heedful.checkpoint import merge_adapter, open_weights, write_adapter
from heedful.checkpoint.rules import Rule, Rules, Split, SplitHeads, Transpose, write
from heedful.errors import CheckpointError, UnsupportedError
from heedful.families import Family
from heedful.families.adapters import adapter_to_upstream
from heedful.model import Transformer, TransformerSpec, UniformSpec, build
from heedful.nn import lora_layers
from heedful.training import TrainingSettings, train
from heedful.training.tuning import prepare

OURS = "encoder.layers.{}.self_attention."
ALL = tuple(f"{OURS}{part}.*" for part in ("query", "key", "value"))
LAYOUTS: dict[str, tuple[Rule, ...]] = {
    "renamed": tuple(Rule(f"h.{{}}.{part}.*", f"{OURS}{part}.*") for part in ("query", "key", "value")),
    "transposed": tuple(Transpose(f"h.{{}}.{part}.*", f"{OURS}{part}.*") for part in ("query", "key", "value")),
    "in one": (Split("h.{}.qkv.*", ALL),),
    "in one, transposed": (Split("h.{}.qkv.*", ALL, transposed=True),),
    "in one, by head": (SplitHeads("h.{}.qkv.*", ALL, num_heads=2),),
}


def family(rules: Rules) -> Family:
    def no_spec(config: object) -> TransformerSpec:
        raise AssertionError

    return Family(model_type="made-up", architecture="MadeUp", spec=no_spec, rules=lambda spec: rules)


def adapted_model(*targets: str) -> Transformer:
    """Two layers whose adapters have learnt something, float64."""
    model = build(UniformSpec(d_model=8, num_layers=2, num_heads=2).encoder(20), seed=1).double()
    settings = TrainingSettings.model_validate({"lora": {"rank": 3, "alpha": 7, "targets": targets}})
    prepare(nn.ModuleDict({"model": model}), settings, seed=1)
    torch.manual_seed(1)
    for layer in lora_layers(model).values():
        nn.init.normal_(layer.up)
    return model


@pytest.mark.parametrize("rules", LAYOUTS.values(), ids=list(LAYOUTS))
@pytest.mark.parametrize("targets", [("query", "value"), ("key",), ("query", "key", "value")], ids=",".join)
def test_merged_onto_the_checkpoint_they_give_the_weights_of_the_run(
    rules: Rules, targets: tuple[str, ...], tmp_path: Path
) -> None:
    model = adapted_model(*targets)
    state = model.state_dict()
    known = {
        name.replace(".base.", "."): parameter.detach()
        for name, parameter in model.named_parameters()
        if re.search(r"self_attention\.(query|key|value)\..*(weight|bias)$", name)
    }
    save_file(write(rules, known), tmp_path / "model.safetensors")
    write_adapter(tmp_path / "adapter", adapter_to_upstream(family(rules), model), base="here")
    merged = merge_adapter(open_weights(tmp_path), tmp_path / "adapter")
    expected = write(rules, {name: state[name] for name in known})
    assert set(merged) == set(expected)
    for name, tensor in expected.items():
        assert torch.allclose(merged.tensor(name), tensor, rtol=0, atol=1e-13), name  # measured: 1e-15
    assert any(not torch.equal(expected[name], tensor) for name, tensor in write(rules, known).items())


def test_a_map_that_the_family_does_not_have_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"have no map for encoder\.layers\.0\.self_attention\.query"):
        adapter_to_upstream(family(LAYOUTS["renamed"][1:]), adapted_model("query"))


def test_maps_stored_in_two_ways_are_refused() -> None:
    mixed = (*LAYOUTS["renamed"][:1], *LAYOUTS["transposed"][1:])
    with pytest.raises(CheckpointError, match="in two ways"):
        adapter_to_upstream(family(mixed), adapted_model("query", "key"))


def test_peft_gives_the_answers_of_the_run(
    bert_folder: Path, recipe: Callable[..., dict[str, Any]], texts: list[str]
) -> None:
    given = recipe(training={"lora": {"rank": 2, "targets": ["query", "up"]}, "weight_average": 0.5, "epochs": 4})
    del given["tokenizer"]
    run = train(given | {"model": {"checkpoint": str(bert_folder)}})
    base: Any = BertModel.from_pretrained(bert_folder, add_pooling_layer=False)
    base.eval()
    ids = torch.arange(5, 25).view(2, 10)
    with torch.inference_mode():
        before = base(ids).last_hidden_state
        tuned: Any = PeftModel.from_pretrained(base, str(run.folder / "adapter"))
        answers = tuned(ids).last_hidden_state
        ours = heedful.load(run.folder).model.encode(ids)
    assert torch.allclose(answers, ours, rtol=0, atol=5e-6)  # measured: 5e-7
    assert float((answers - before).abs().max()) > 0.01
    assert tuned.peft_config["default"].base_model_name_or_path == str(bert_folder)
    assert (run.folder / "last" / "adapter" / "adapter_config.json").is_file()


def test_the_next_run_leaves_no_adapter_of_the_last(bert_folder: Path, recipe: Callable[..., dict[str, Any]]) -> None:
    given = recipe(training={"lora": {}, "max_steps": 2})
    del given["tokenizer"]
    run = train(given | {"model": {"checkpoint": str(bert_folder)}})
    assert (run.folder / "adapter").is_dir()
    train(recipe(training={"max_steps": 2}) | {"overwrite": True})
    assert not list(run.folder.rglob("adapter*"))


def test_a_run_of_ours_is_tuned_under_our_names(recipe: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    first = train(recipe(training={"max_steps": 2}))
    given = recipe(training={"lora": {"targets": ["down"]}, "max_steps": 3})
    del given["tokenizer"]
    second = train(given | {"model": {"checkpoint": str(first.folder)}, "output": tmp_path / "second"})
    merged = merge_adapter(open_weights(first.folder), second.folder / "adapter")
    name = "model.encoder.layers.0.feed_forward.down.weight"
    saved = open_weights(second.folder)
    assert torch.allclose(merged.tensor(name), saved.tensor(name), rtol=0, atol=1e-6)
    assert not torch.equal(merged.tensor(name), open_weights(first.folder).tensor(name))


def test_a_run_goes_on_from_a_checkpoint_with_an_adapter(
    bert_folder: Path, recipe: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """What the first run learnt of the checkpoint, its adapter brings to any other use of the checkpoint."""
    given = recipe(training={"lora": {"targets": ["query", "up"]}, "epochs": 4})
    del given["tokenizer"]
    first = train(given | {"model": {"checkpoint": bert_folder}})
    adapter = first.folder / "adapter"
    ids = torch.arange(5, 25).view(2, 10)
    with torch.inference_mode():
        tuned, plain = (
            heedful.load_model(bert_folder, adapter=adapter).encode(ids),
            heedful.load_model(bert_folder).encode(ids),
        )
        assert torch.allclose(tuned, first.task.model.encode(ids), rtol=0, atol=5e-6)
    assert float((tuned - plain).abs().max()) > 0.01
    frozen = {"embeddings": True, "layers": 2}
    model = {"checkpoint": bert_folder, "adapter": adapter}
    second = train(
        given | {"model": model, "training": {"freeze": frozen, "max_steps": 2}, "output": tmp_path / "second"}
    )
    with torch.inference_mode():
        assert torch.allclose(second.task.model.encode(ids), tuned, rtol=0, atol=5e-6)


def test_a_run_of_ours_takes_no_adapter(
    bert_folder: Path, recipe: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    run = train(recipe(training={"max_steps": 1}))
    with pytest.raises(UnsupportedError, match="is a run of ours"):
        heedful.load_model(run.folder, adapter=tmp_path)
    given = recipe() | {"model": {"checkpoint": run.folder, "adapter": tmp_path}, "output": tmp_path / "second"}
    del given["tokenizer"]
    with pytest.raises(UnsupportedError, match="is a run of ours"):
        train(given)
