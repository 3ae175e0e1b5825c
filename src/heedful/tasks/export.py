"""A model of ours in the form of Hugging Face, if a class of upstream's can hold it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from heedful.checkpoint import CONFIG_FILE, TASK_FILE, open_weights, read_config, read_json, read_spec, write_weights
from heedful.checkpoint.folder import MODEL_PREFIX
from heedful.errors import CheckpointError, UnsupportedError
from heedful.families import FAMILIES, ConfigReader, Family, read_pretrained, to_upstream
from heedful.model import TransformerSpec
from heedful.settings import parse
from heedful.tasks.classification import ClassifierCard, TextClassifier
from heedful.tasks.model_files import (
    TOKENIZER_CONFIG,
    TOKENIZER_FILES,
    ConversionOptions,
    cast,
    copy_files,
    write_json,
)

STALE_KEYS = ("torch_dtype", "auto_map", "num_labels", "_num_labels")
"""Keys of a config that may contradict what is written beside it."""


def export(folder: Path, staging: Path, options: ConversionOptions) -> tuple[str, list[str]]:
    """Write a model of ours as upstream's classes save theirs; the config is that of the checkpoint it began as.

    Args:
        folder: of ours.
        staging: exists and is empty.

    Returns:
        Upstream's class, and what did not go along.

    Raises:
        CheckpointError: a file is missing or damaged.
        UnsupportedError: no class of upstream's computes what the model does; the message says what of it.
    """
    config, card = read_config(folder), _read_card(folder)
    family, upstream = _origin(folder, config, card)
    if card is not None:
        _check_head(family, upstream, card)
    spec, weights = read_spec(folder), open_weights(folder)
    tensors = {name.removeprefix(MODEL_PREFIX): weights.tensor(name) for name in weights}
    architecture, named = to_upstream(family, spec, tensors)
    named = cast(named, options.dtype)
    dtype = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in named.values()).most_common(1)[0][0]
    complete = {key: value for key, value in upstream.items() if key not in STALE_KEYS}
    complete |= {"architectures": [architecture], "dtype": dtype}
    notes = []
    if card is not None:
        complete |= {
            "id2label": {str(number): label for number, label in enumerate(card.labels)},
            "label2id": {label: number for number, label in enumerate(card.labels)},
            "problem_type": f"{card.label_kind.value}_label_classification",
        }
        notes = _left_behind(card)
    write_json(staging / CONFIG_FILE, complete)
    write_weights(staging, named, max_shard_bytes=options.max_shard_bytes)
    _copy_tokenizer(folder, staging, spec, card)
    _prove(staging, spec, card, family)
    return architecture, notes


def _read_card(folder: Path) -> ClassifierCard | None:
    """The card of a classifier; a model that writes goes out as what it is, without one."""
    file = folder / TASK_FILE
    card = read_json(file) if file.is_file() else {}
    if card.get("job") != TextClassifier.job:
        return None
    return parse(ClassifierCard, card, name=str(file), error=CheckpointError)


def _origin(folder: Path, config: Mapping[str, Any], card: ClassifierCard | None) -> tuple[Family, dict[str, Any]]:
    """The family that a model of ours began in, and the config it had there."""
    origin = config.get("origin")
    if "module" in config:
        reason = "the model is a module of your own: code, which no class of Hugging Face's transformers is"
    elif origin is None:
        reason = f"it began in no family of checkpoints, and no class of transformers has {_peculiar(folder, card)}"
    elif isinstance(origin, dict) and origin.get("family") in FAMILIES and isinstance(origin.get("config"), dict):
        return FAMILIES[origin["family"]], origin["config"]
    else:
        reason = f"{CONFIG_FILE} names an origin that heedful does not know"
    raise UnsupportedError(
        f"{folder} cannot be written in the form of Hugging Face: {reason}",
        remedy="Keep it in heedful's form. A model that goes out as well starts from a checkpoint of a known family: "
        "model.checkpoint in a recipe.",
    )


def _peculiar(folder: Path, card: ClassifierCard | None) -> str:
    """What of a model of our own no class of upstream's computes."""
    spec = read_spec(folder)
    said = []
    for name, stack in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        if stack is not None:
            kinds = [str(it.kind) for it in (stack.embeddings.positions, stack.positions) if it is not None]
            norm = stack.layers[0].norm_placement
            said.append(f"an {name} of norm_placement {norm} with positions {' and '.join(kinds) or 'none'}")
    if card is not None:
        said.append(f"a head on pooling {card.head.pooling}")
    return " and ".join(said)


def _left_behind(card: ClassifierCard) -> list[str]:
    notes = []
    if card.temperature != 1:
        notes.append(f"the temperature {card.temperature:.3f} stays behind: logits are the same, scores not calibrated")
    if card.abstain_below is not None:
        notes.append(f"abstain_below {card.abstain_below} stays behind: every text gets a label")
    return notes


def _copy_tokenizer(folder: Path, staging: Path, spec: TransformerSpec, card: ClassifierCard | None) -> None:
    copy_files(folder, staging, TOKENIZER_FILES)
    file = staging / TOKENIZER_CONFIG
    if not file.is_file():
        return
    config = read_json(file)
    if card is not None:
        config["model_max_length"] = card.max_length
    if spec.encoder is None or spec.encoder.embeddings.num_token_types < 2:
        config["model_input_names"] = ["input_ids", "attention_mask"]  # the model would refuse token types
    write_json(file, config)


def _prove(staging: Path, spec: TransformerSpec, card: ClassifierCard | None, family: Family) -> None:
    """Refuse to hand out what reads back as another model."""
    back = read_pretrained(staging)
    _refuse(family, _differences("", spec.model_dump(mode="json"), back.spec.model_dump(mode="json")))
    if card is not None:
        head = None if back.head is None else back.head.model_dump(mode="json")
        _refuse(family, _differences("head", card.head.model_dump(mode="json"), head))


def _check_head(family: Family, upstream: Mapping[str, Any], card: ClassifierCard) -> None:
    """Refuse a head that the family's classifiers have not, before anything is written."""
    if family.classifier is not None:
        usual = family.classifier.spec(ConfigReader(upstream), len(card.labels))
        _refuse(family, _differences("head", card.head.model_dump(mode="json"), usual.model_dump(mode="json")))


def _refuse(family: Family, differences: Iterable[str]) -> None:
    told = list(differences)
    if told:
        raise UnsupportedError(
            f"classes of upstream's for the family {family.model_type} cannot hold this model: {'; '.join(told[:8])}",
            remedy="Keep it in heedful's form, or train it as the family's classifiers are: task.pooling=null and "
            "task.dense=null in the recipe.",
        )


def _differences(place: str, ours: object, theirs: object) -> Iterable[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            if key != "dropout":  # of training only
                yield from _differences(f"{place}.{key}".lstrip("."), value, theirs.get(key))
    elif ours != theirs:
        yield f"{place} is {_shown(ours)} here, and {_shown(theirs)} there"


def _shown(value: object) -> str:
    return f"{json.dumps(value):.80}"
