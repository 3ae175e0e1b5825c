"""Back out: our tensors under a family's names, as upstream's own classes save them."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from heedful.checkpoint.rules import their_names, write
from heedful.errors import CheckpointError
from heedful.families.family import Classifier, Family, LanguageModel
from heedful.model import TransformerSpec

HEAD_OUTPUT = "head.output.weight"
OUTPUT_PREFIX = "output."


def to_upstream(family: Family, spec: TransformerSpec, tensors: Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """Name our tensors as the family does.

    Args:
        spec: of the model.
        tensors: of the Transformer by their names in its state, of a classification head with ``head.`` before
            them. Beside a head, a language-model head is left out: upstream's classifiers have none.

    Returns:
        Upstream's architecture and its tensors.

    Raises:
        CheckpointError: the family cannot hold one of the tensors.
    """
    head = _architecture(family, spec, tensors)
    base, prefix = family.rules(spec), "" if head is None else head.prefix
    own = () if head is None else head.rules(spec)
    beside = isinstance(head, Classifier)
    kept = {name: tensor for name, tensor in tensors.items() if not (beside and name.startswith(OUTPUT_PREFIX))}
    # Some families keep a part of the head, such as BERT's pooler, with the base model.
    of_head = {name: tensor for name, tensor in kept.items() if their_names(own, name) is not None}
    of_base = {name: tensor for name, tensor in kept.items() if name not in of_head}
    named = {prefix + name: tensor for name, tensor in write(base, of_base).items()} | write(own, of_head)
    return family.architecture if head is None else head.architecture, named


def _architecture(
    family: Family, spec: TransformerSpec, tensors: Mapping[str, Tensor]
) -> Classifier | LanguageModel | None:
    if HEAD_OUTPUT in tensors:
        if family.classifier is None:
            raise CheckpointError(f"{family.model_type} checkpoints have no classification head")
        return family.classifier
    return None if spec.output is None else family.language_model
