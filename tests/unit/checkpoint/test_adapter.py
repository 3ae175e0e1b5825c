"""Adapters in PEFT's format: the same numbers both ways, and what is not merged here is refused by name."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, BertModel, GPT2Config, GPT2Model

from heedful.checkpoint import Adapter, merge_adapter, open_weights, write_adapter
from heedful.errors import CheckpointError, HeedfulError
from heedful.model import UniformSpec, build
from heedful.nn import LoraLinear, lora_layers
from heedful.training import TrainingSettings
from heedful.training.tuning import prepare

BERT: dict[str, Any] = {
    "vocab_size": 30,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 20,
    "max_position_embeddings": 16,
    "num_labels": 3,
}


def reference(kind: str) -> Any:
    torch.manual_seed(1)
    if kind == "gpt2":
        return GPT2Model(GPT2Config(vocab_size=30, n_embd=12, n_layer=2, n_head=2, n_positions=16))
    cls = BertModel if kind == "bert" else BertForSequenceClassification
    return cls(BertConfig(**BERT))


def with_adapters(base: Any, **config: Any) -> Any:
    """What PEFT makes of ``base``; without types, since PEFT wraps any module in classes made on the spot."""
    return get_peft_model(base, LoraConfig(**config))


def tuned(kind: str, folder: Path, **config: Any) -> dict[str, torch.Tensor]:
    """Save a base and an adapter that has learnt something with PEFT; return the weights that PEFT merges."""
    base = reference(kind)
    base.save_pretrained(folder / "base")
    targets = ["c_attn", "c_fc"] if kind == "gpt2" else ["query", "dense"]
    model = with_adapters(base, **{"r": 3, "lora_alpha": 7, "target_modules": targets} | config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter)
    model.save_pretrained(folder / "adapter")
    return dict(model.merge_and_unload().state_dict())


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("bert", {}),
    "rank-stabilised": ("bert", {"use_rslora": True}),
    "conv1d": ("gpt2", {"fan_in_fan_out": True}),
    "classifier": ("classifier", {"task_type": "SEQ_CLS"}),
    "gaussian": ("bert", {"init_lora_weights": "gaussian", "lora_dropout": 0.3}),
}


@pytest.mark.parametrize(("kind", "config"), CASES.values(), ids=list(CASES))
def test_merged_weights_are_those_of_peft_bit_for_bit(kind: str, config: dict[str, Any], tmp_path: Path) -> None:
    expected = tuned(kind, tmp_path, **config)
    base = open_weights(tmp_path / "base")
    merged = merge_adapter(base, tmp_path / "adapter")
    assert set(merged) == set(base)
    changed = 0
    for name, info in merged.items():
        tensor = merged.tensor(name)
        assert torch.equal(tensor, expected[name]), name
        assert (info.dtype, info.shape) == (tensor.dtype, tuple(tensor.shape))
        changed += not torch.equal(tensor, base.tensor(name))
    assert changed >= 4


@pytest.mark.parametrize(("stored", "asked"), [("bert", "classifier"), ("classifier", "bert")])
def test_the_base_may_stand_in_a_wrapper_or_out_of_it(stored: str, asked: str, tmp_path: Path) -> None:
    """``encoder.…`` in one of the two is ``bert.encoder.…`` in the other."""
    expected = tuned(asked, tmp_path / "asked", task_type="SEQ_CLS" if asked == "classifier" else None)
    inner = reference(asked)
    (inner.bert if asked == "classifier" else inner).save_pretrained(tmp_path / "plain")
    if stored == "classifier":
        holder = reference("classifier")
        holder.bert.load_state_dict(inner.state_dict(), strict=False)
        holder.save_pretrained(tmp_path / "plain")
    merged = merge_adapter(open_weights(tmp_path / "plain"), tmp_path / "asked" / "adapter")
    name = "encoder.layer.0.attention.self.query.weight"
    (found,) = [stored_name for stored_name in merged if stored_name.endswith(name)]
    (wanted,) = [known for known in expected if known.endswith(name)]
    assert torch.equal(merged.tensor(found), expected[wanted])
    if asked == "classifier":
        assert torch.equal(merged.tensor("classifier.weight"), expected["classifier.weight"])
        assert merged["classifier.weight"].shape == (3, 12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_base_keeps_its_precision_and_is_rounded_once(dtype: torch.dtype, tmp_path: Path) -> None:
    tuned("bert", tmp_path)
    plain = load_file(tmp_path / "base" / "model.safetensors")
    save_file({name: tensor.to(dtype) for name, tensor in plain.items()}, tmp_path / "base" / "model.safetensors")
    factors = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    name = "encoder.layer.0.attention.self.query"
    up, down = (factors[f"base_model.model.{name}.lora_{half}.weight"].double() for half in "BA")
    merged = merge_adapter(open_weights(tmp_path / "base"), tmp_path / "adapter").tensor(f"{name}.weight")
    exact = plain[f"{name}.weight"].to(dtype).double() + 7 / 3 * up @ down
    assert merged.dtype == dtype
    assert float((merged.double() - exact).abs().max() / exact.abs().max()) <= torch.finfo(dtype).eps + 1e-7 * (
        dtype != torch.float64
    )


def test_what_is_written_gives_peft_the_same_answers(tmp_path: Path) -> None:
    """PEFT takes any module: here our own Transformer, in float64."""
    sizes = UniformSpec(d_model=8, num_layers=2, num_heads=2)
    base, adapted = (build(sizes.encoder(20), seed=1).double().eval() for _ in range(2))
    settings = TrainingSettings.model_validate({"lora": {"rank": 3, "alpha": 7}})
    prepare(nn.ModuleDict({"model": adapted}), settings, seed=1)
    for adapter in lora_layers(adapted).values():
        nn.init.normal_(adapter.up)
    factors = {name: (layer.down, layer.up) for name, layer in lora_layers(adapted).items()}
    write_adapter(tmp_path, Adapter(factors, 3, 7), base="somewhere")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    ids = torch.arange(15).view(3, 5)
    with torch.inference_mode():
        plain = base.encode(ids)
    model: Any = PeftModel.from_pretrained(cast(Any, base), str(tmp_path))
    with torch.inference_mode():
        answers, ours = model.base_model.model.encode(ids), adapted.encode(ids)
    assert torch.allclose(answers, ours, rtol=0, atol=1e-13)  # measured: 0
    assert float((answers - plain).abs().max()) > 0.1
    assert model.peft_config["default"].base_model_name_or_path == "somewhere"


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """Merging what ``write_adapter`` wrote gives the weights that a run would save."""
    torch.manual_seed(1)
    base = nn.ModuleDict({"map": nn.Linear(5, 4)})
    save_file(dict(base.state_dict()), tmp_path / "model.safetensors")
    adapter = LoraLinear(base["map"], 3, alpha=7)  # type: ignore[arg-type]
    nn.init.normal_(adapter.up)
    write_adapter(tmp_path / "adapter", Adapter({"map": (adapter.down, adapter.up)}, 3, 7), base="here")
    merged = merge_adapter(open_weights(tmp_path), tmp_path / "adapter")
    for name, tensor in adapter.state_dict().items():
        assert torch.equal(merged.tensor(f"map.{name}"), tensor)


# What is refused


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base and its adapter, to be copied and spoilt."""
    folder = tmp_path_factory.mktemp("pair")
    tuned("bert", folder)
    return folder


@pytest.fixture
def spoilt(pair: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy with other settings, or other tensors."""

    def spoil(config: dict[str, Any] | None = None, tensors: dict[str, Any] | None = None) -> Path:
        folder = Path(shutil.copytree(pair, tmp_path / "copy"))
        file = folder / "adapter" / "adapter_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | (config or {})))
        weights = folder / "adapter" / "adapter_model.safetensors"
        changed = load_file(weights) | (tensors or {})
        save_file({name: tensor for name, tensor in changed.items() if tensor is not None}, weights)
        return folder

    return spoil


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        merge_adapter(open_weights(folder / "base"), folder / "adapter")
    assert caught.value.remedy or "fault" in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"use_dora": True}, "'use_dora' True"),
        ({"rank_pattern": {"query": 8}}, "'rank_pattern' {'query': 8}"),
        ({"alpha_pattern": {"query": 8}}, "'alpha_pattern'"),
        ({"layer_replication": [[0, 1]]}, "'layer_replication'"),
        ({"trainable_token_indices": [1, 2]}, "'trainable_token_indices'"),
        ({"lora_bias": True}, "'lora_bias' True"),
        ({"something_new": "on"}, "'something_new' 'on'"),
        ({"bias": "all"}, "bias: Input should be 'none' (got 'all')"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights"),
        ({"peft_type": "IA3"}, "peft_type: Input should be 'LORA' (got 'IA3')"),
        ({"r": 0}, "r: "),
        ({"lora_alpha": math.nan}, "lora_alpha: "),
    ],
    ids=str,
)
def test_another_kind_of_adapter_is_refused_by_the_key(
    spoilt: Callable[..., Path], config: dict[str, Any], named: str
) -> None:
    assert named in refusal(spoilt(config))


def test_keys_that_are_switched_off_are_passed_over(spoilt: Callable[..., Path]) -> None:
    folder = spoilt({"a_variant_of_tomorrow": None, "another": False, "a_third": {}, "auto_mapping": {"x": "os"}})
    assert len(merge_adapter(open_weights(folder / "base"), folder / "adapter"))


QUERY = "base_model.model.encoder.layer.0.attention.self.query"


@pytest.mark.parametrize(
    ("tensors", "fault"),
    [
        ({f"{QUERY}.lora_A.weight": None}, "'encoder.layer.0.attention.self.query' has lora_B only"),
        ({f"{QUERY}.lora_A.weight": torch.ones(3, 11)}, "(3, 11) stored, (3, 12) wanted"),
        ({f"{QUERY}.lora_B.weight": torch.ones(12, 2)}, "(12, 2) stored, (12, 3) wanted"),
        ({f"{QUERY}.lora_magnitude_vector": torch.ones(12)}, f"unexpected '{QUERY}.lora_magnitude_vector'"),
        ({"base_model.model.pooler.other.lora_A.weight": torch.ones(3, 12)}, "'pooler.other' is no map of the base"),
        ({"base_model.model.classifier.weight": torch.ones(3, 12)}, "unexpected 'base_model.model.classifier.weight'"),
        ({f"{QUERY}.lora_B.weight": torch.ones(12, 3, dtype=torch.int8)}, "holds torch.int8"),
        (
            {f"{QUERY.replace('.encoder', '.bert.encoder')}.lora_{half}.weight": torch.ones(1) for half in "AB"},
            "and another does too",
        ),
        ({"base_model.model.embeddings.lora_embedding_A": torch.ones(3, 30)}, "unexpected"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_tensors_that_do_not_fit_are_listed(spoilt: Callable[..., Path], tensors: dict[str, Any], fault: str) -> None:
    both = tensors | {"strange": torch.ones(1)}
    message = refusal(spoilt(tensors=both))
    assert fault in message
    assert "unexpected 'strange'" in message


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_missing_file_is_named(spoilt: Callable[..., Path], name: str) -> None:
    folder = spoilt()
    (folder / "adapter" / name).unlink()
    assert name in refusal(folder)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"{", b"\x00" * 100, b"[" * 10_000, b'{"r": 1, "r": 2}'])
def test_a_damaged_file_gives_our_error(spoilt: Callable[..., Path], name: str, content: bytes) -> None:
    folder = spoilt()
    (folder / "adapter" / name).write_bytes(content)
    with pytest.raises(HeedfulError):
        merge_adapter(open_weights(folder / "base"), folder / "adapter")


def test_a_link_out_of_the_folder_is_refused(spoilt: Callable[..., Path], tmp_path: Path) -> None:
    folder = spoilt()
    weights = folder / "adapter" / "adapter_model.safetensors"
    weights.rename(tmp_path / "elsewhere")
    weights.symlink_to(tmp_path / "elsewhere")
    assert "link out of the folder" in refusal(folder)
