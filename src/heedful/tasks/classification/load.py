"""A classifier from a folder that heedful wrote."""

from __future__ import annotations

from pathlib import Path

from heedful.checkpoint import CONFIG_FILE, TASK_FILE, read_config, read_json, read_network, read_spec
from heedful.errors import CheckpointError
from heedful.model import build, build_head
from heedful.model.skeleton import skeleton
from heedful.settings import parse
from heedful.tasks.classification.classifier import TextClassifier
from heedful.tasks.classification.settings import ClassifierCard
from heedful.tasks.model_files import check_vocabulary
from heedful.tasks.own_module import ModuleSpec, TextEncoder, remake_module
from heedful.text import Tokenizer


def load_classifier(folder: Path, *, allow_code: str | Path | None = None) -> TextClassifier:
    """Read a model folder.

    Args:
        allow_code: the Python file of a module of the user's own, which may be executed.

    Raises:
        CheckpointError: a file is missing or does not fit the others, or code is needed that is not allowed.
    """
    card = parse(ClassifierCard, read_json(folder / TASK_FILE), name=str(folder / TASK_FILE), error=CheckpointError)
    config = read_config(folder)
    model: TextEncoder
    module: ModuleSpec | None = None
    if "module" in config:
        place = f"the module in {folder / CONFIG_FILE}"
        module = parse(ModuleSpec, config["module"], name=place, error=CheckpointError)
        tokenizer = Tokenizer.load(folder)
        model, module = remake_module(module, tokenizer.vocabulary_size, allow_code=allow_code, folder=folder)
    else:
        spec = read_spec(folder)
        tokenizer = Tokenizer.load(folder)
        check_vocabulary(tokenizer, spec.vocabulary_size, folder)
        with skeleton():
            model = build(spec)
    with skeleton():
        head = build_head(card.head, model.d_model)
    classifier = TextClassifier(model, head, tokenizer, card, module=module, origin=config.get("origin"))
    read_network(folder, classifier.network)
    classifier.network.eval()
    return classifier
