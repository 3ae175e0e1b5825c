"""What decoders have in common, from GPT-2 on: how they write text, and how they read its class."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from heedful.checkpoint.rules import Rule
from heedful.families.config import ConfigReader
from heedful.families.family import Classifier, Family, LanguageModel, RulesOf, always
from heedful.model import ClassificationHeadSpec, OutputSpec, Pooling, TransformerSpec


def untied_output(config: ConfigReader) -> OutputSpec:
    """A plain linear map, tied if the config says so."""
    return OutputSpec(tied=config.flag("tie_word_embeddings", False))


def tied_output(config: ConfigReader) -> OutputSpec:
    """A plain linear map, tied unless the config says otherwise."""
    return OutputSpec(tied=config.flag("tie_word_embeddings", True))


def last_token_classifier(architecture: str, prefix: str) -> Classifier:
    """One linear map without bias on the last token."""
    return Classifier(architecture, _last_token, always(Rule("score.weight", "head.output.weight")), prefix=prefix)


def _last_token(_: ConfigReader, num_labels: int) -> ClassificationHeadSpec:
    return ClassificationHeadSpec(num_labels=num_labels, pooling=Pooling.LAST, bias=False)


def decoder_family(
    model_type: str,
    architectures: tuple[str, str, str],
    spec: Callable[[ConfigReader], TransformerSpec],
    *,
    rules: RulesOf,
    output: Callable[[ConfigReader], OutputSpec] = untied_output,
    prefix: str = "model.",
    ignored: Mapping[str, str] | None = None,
    refused: tuple[str, ...],
) -> Family:
    """A family whose heads are plain linear maps.

    Args:
        architectures: upstream's classes of the bare model, with a language-model head and with a classifier.
        prefix: what upstream puts before the names of the base model's weights beside a head.
    """
    base, language_model, classifier = architectures
    return Family(
        model_type=model_type,
        architecture=base,
        spec=spec,
        rules=rules,
        language_model=LanguageModel(
            language_model, output, always(Rule("lm_head.weight", "output.weight")), prefix=prefix
        ),
        classifier=last_token_classifier(classifier, prefix),
        ignored=ignored or {},
        refused=refused,
    )
