"""Reading ``config.json`` of a foreign checkpoint: every key is read, refused or passed over for a reason."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from heedful.model import Activation
from heedful.settings import nearest

E = TypeVar("E")

ACTIVATIONS = {
    "gelu": Activation.GELU,
    "gelu_fast": Activation.GELU_TANH,
    "gelu_new": Activation.GELU_TANH,
    "gelu_pytorch_tanh": Activation.GELU_TANH,
    "relu": Activation.RELU,
    "silu": Activation.SILU,
    "swish": Activation.SILU,
    "tanh": Activation.TANH,
}
"""Upstream's names of nonlinearities."""

CODE = "names code, which heedful never runs"
TRAINING = "concerns training from scratch only"
GENERATION = "a setting of generation, read where text is generated"
OUTPUTS = "says which tensors upstream's code returns"
TOKENIZER = "read with the tokenizer"
LABELS = "read with the labels"
RECORD = "a record of where the checkpoint comes from"
COMMON: Mapping[str, str] = {
    **dict.fromkeys(("auto_map", "custom_pipelines", "_attn_implementation", "_attn_implementation_autoset"), CODE),
    **dict.fromkeys(("_attn_implementation_internal", "attn_implementation", "_experts_implementation"), CODE),
    **dict.fromkeys(("initializer_range", "init_std", "initializer_factor", "gradient_checkpointing"), TRAINING),
    **dict.fromkeys(("layerdrop", "encoder_layerdrop", "decoder_layerdrop", "finetuning_task"), TRAINING),
    **dict.fromkeys(("return_dict", "output_hidden_states", "output_attentions", "use_return_dict"), OUTPUTS),
    **dict.fromkeys(("use_cache", "torchscript", "output_past", "tf_legacy_loss", "use_bfloat16"), OUTPUTS),
    **dict.fromkeys(("chunk_size_feed_forward", "return_token_type_ids"), OUTPUTS),
    **dict.fromkeys(("architectures", "model_type", "transformers_version", "_name_or_path", "name_or_path"), RECORD),
    **dict.fromkeys(("_commit_hash", "torch_dtype", "dtype", "transformers.js_config"), RECORD),
    **dict.fromkeys(("id2label", "label2id", "num_labels", "_num_labels", "problem_type"), LABELS),
    **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "sep_token_id", "cls_token_id"), TOKENIZER),
    **dict.fromkeys(("mask_token_id", "unk_token_id", "tokenizer_class", "prefix", "task_specific_params"), TOKENIZER),
    **dict.fromkeys(("decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id"), GENERATION),
    **dict.fromkeys(
        ("max_length", "min_length", "do_sample", "early_stopping", "num_beams", "temperature"), GENERATION
    ),
    **dict.fromkeys(
        ("num_beam_groups", "diversity_penalty", "top_k", "top_p", "typical_p", "length_penalty"), GENERATION
    ),
    **dict.fromkeys(("repetition_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size"), GENERATION),
    **dict.fromkeys(("bad_words_ids", "num_return_sequences", "output_scores", "return_dict_in_generate"), GENERATION),
    **dict.fromkeys(("suppress_tokens", "begin_suppress_tokens", "remove_invalid_values"), GENERATION),
    **dict.fromkeys(("exponential_decay_length_penalty", "is_encoder_decoder"), GENERATION),
}
"""Keys of any family that change no number that heedful computes, and why."""
REFUSED: Mapping[str, object] = {
    "pruned_heads": {},
    "is_decoder": False,
    "add_cross_attention": False,
    "cross_attention_hidden_size": None,
    "quantization_config": None,
}
"""Keys of any family that must have this value, unless the family reads them."""

_LARGEST = 2**24


class ConfigReader:
    """Keeps account of the keys that are read, and collects what is wrong with them.

    A fault never stops the reading: a harmless value takes the place of a bad one, and all faults are told at once.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self.faults: list[str] = []
        self.read: dict[str, object] = {}
        """Keys that were asked for, and the value each has if it is not there."""
        self.unread: list[str] = []
        """Those of the faults that are keys which nobody has read."""
        self._sections: dict[str, ConfigReader] = {}

    def integer(self, key: str, default: int | None = None, *, low: int = 1, high: int = _LARGEST) -> int:
        """A whole number in [low, high]."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            return self._fault(key, value, f"a whole number from {low} to {high}", max(low, 1))
        return value

    def layers(self, key: str = "num_hidden_layers", default: int | None = None) -> int:
        """A number of layers."""
        return self.integer(key, default, high=1024)

    def heads(self, key: str, default: int, *, d_model: int) -> tuple[int, int]:
        """A number of attention heads H, and the width of each, K = D / H: a fault where there is a remainder."""
        num_heads = self.integer(key, default)
        if d_model % num_heads:
            self.faults.append(f"{key} is {num_heads}, which does not divide the model's width of {d_model}")
        return num_heads, max(d_model // num_heads, 1)

    def number(self, key: str, default: float | None = None, *, low: float = 0.0, high: float = 1e12) -> float:
        """A number in [low, high]."""
        value = self._get(key, default)
        fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not fits or not low <= value <= high:
            return self._fault(key, value, f"a number from {low:g} to {high:g}", max(low, 1e-5))
        return float(value)

    def probability(self, key: str, default: float | None = 0.0) -> float:
        """A dropout rate, in [0, 1); 0 where none is given."""
        value = self._get(key, default)
        if value is None:
            return 0.0
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            return self._fault(key, value, "a probability below 1", 0.0)
        return float(value)

    def flag(self, key: str, default: bool | None = None) -> bool:
        """True or false."""
        value = self._get(key, default)
        return value if isinstance(value, bool) else self._fault(key, value, "true or false", bool(default))

    def optional_integer(self, key: str, default: int | None = None, *, low: int = 1) -> int | None:
        """A whole number, or None."""
        return None if self._get(key, default) is None else self.integer(key, default, low=low)

    def optional_number(self, key: str, default: float | None = None, *, low: float = 0.0) -> float | None:
        """A number, or None."""
        return None if self._get(key, default) is None else self.number(key, default, low=low)

    def choice(self, key: str, options: Mapping[str, E], default: str | None = None) -> E:
        """What one of the names in ``options`` stands for."""
        value = self._get(key, default)
        if isinstance(value, str) and value in options:
            return options[value]
        wanted = f"one that heedful has ({nearest(str(value)[:40], options)})"
        return self._fault(key, value, wanted, next(iter(options.values())))

    def activation(self, key: str, default: str) -> Activation:
        """A nonlinearity."""
        return self.choice(key, ACTIVATIONS, default)

    def items(self, key: str, default: Collection[Any] | None = None) -> list[Any]:
        """A list, of at most 4,096 entries; empty where none is given."""
        value = self._get(key, default)
        if value is None:
            return []
        if isinstance(value, list | tuple) and len(value) <= 4096:
            return list(value)
        return self._fault(key, value, "a list", [])

    def section(self, key: str) -> ConfigReader | None:
        """A group of keys of its own, whose faults are told with these; None where it is not given."""
        value = self._get(key, None)
        if value is None:
            return None
        if not isinstance(value, dict):
            return self._fault(key, value, "a group of keys", None)
        section = self._sections.setdefault(key, ConfigReader(value))
        section.faults = self.faults
        return section

    def require(self, key: str, wanted: object, default: object = None, *, reason: str) -> None:
        """Refuse any value but ``wanted``, which is taken where the key is missing unless ``default`` is given.

        Args:
            reason: what heedful lacks, or why it will not: the rest of "key is value: …".
        """
        value = self._get(key, wanted if default is None else default)
        if value != wanted or isinstance(value, bool) != isinstance(wanted, bool):
            self.faults.append(f"{key} is {value!r:.80}: {reason}")

    def finish(self, ignored: Mapping[str, str]) -> None:
        """Refuse the keys that nobody has read: they may change the numbers."""
        for key, wanted in REFUSED.items():
            if key not in self.read and key in self.data:
                value = self.data[key]
                if value != wanted and value is not None:
                    self.faults.append(f"{key} is {value!r:.80}: heedful supports {wanted!r} only")
        known = {*self.read, *ignored, *COMMON, *REFUSED}
        unread = [key for key in self.data if key not in known]
        for name, section in self._sections.items():
            stray = [key for key, value in section.data.items() if key not in section.read and value is not None]
            unread += [f"{name}.{key}" for key in stray]
        self.unread = [f"{key:.80} is a key that nobody reads: it may change the numbers" for key in unread]
        self.faults += self.unread

    def _get(self, key: str, default: object) -> Any:
        self.read[key] = default
        return self.data.get(key, default)

    def _fault(self, key: str, value: object, wanted: str, instead: E) -> E:
        said = f"{key} is missing" if value is None and key not in self.data else f"{key} is {value!r:.80}"
        self.faults.append(f"{said}, and must be {wanted}")
        return instead
