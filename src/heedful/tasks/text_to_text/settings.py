"""What translation and summarization can be told: the recipe's ``task`` section, and what a saved model remembers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_serializer, field_validator, model_validator

from heedful.data import Columns, LabelKind
from heedful.generation import GenerationSettings
from heedful.settings import Settings
from heedful.tasks.text_to_text.trust import TrustSettings

PAPER_SEARCH = GenerationSettings(num_beams=4, length_penalty=0.6, length_normalization="gnmt")
"""Vaswani et al. 2017, section 6.1: beam 4, length penalty 0.6."""

PAPER_TRAINING: Mapping[str, Any] = {
    "schedule": "inverse_square_root",
    "betas": (0.9, 0.98),
    "epsilon": 1e-9,
    "average_last": 5,
}
"""Vaswani et al. 2017, sections 5.3 and 6.1."""


TEXT_PLACE = "{text}"
"""Where the text stands in a prompt."""


class PromptSettings(Settings):
    """What a model without encoder reads before it writes an answer.

    A text alone is a template; ``chat`` stands for the text as what a user says.
    """

    template: str = Field(max_length=10_000, description="the prompt, with {text} where the text is to stand")
    chat: bool = Field(False, description="a user says it, as the tokenizer's chat template has it; the model answers")

    @model_validator(mode="before")
    @classmethod
    def _written_out(cls, value: object) -> object:
        if value == "chat":
            return {"template": TEXT_PLACE, "chat": True}
        return {"template": value} if isinstance(value, str) else value

    @field_validator("template")
    @classmethod
    def _has_one_place(cls, value: str) -> str:
        if value.count(TEXT_PLACE) != 1:
            raise ValueError(f"should hold {TEXT_PLACE} once, not {value.count(TEXT_PLACE)} times")
        return value


class ObjectiveSettings(Settings):
    """What is minimised in training."""

    label_smoothing: float = Field(
        0.1, ge=0, lt=1, description="share of the target spread over all tokens (Szegedy et al. 2016)"
    )
    subword_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="subword regularisation of both sides: probability that a longer piece is not used",
    )
    token_dropout: float = Field(
        0.0, ge=0, lt=1, description="share of the source's tokens hidden behind the mask token at each training step"
    )


class TextToTextSettings(Settings):
    """What both jobs have in common in the ``task`` section of a recipe."""

    max_length: int = Field(256, ge=8, le=8192, description="tokens of a source text")
    max_target_length: int = Field(256, ge=8, le=8192, description="tokens of a text to be written")
    generation: GenerationSettings = Field(
        GenerationSettings(),
        description="how answers are searched for; what is not given is the paper's way, or the checkpoint's own",
    )
    source_language: str | None = Field(None, max_length=40, description="of the texts, for a model of several")
    target_language: str | None = Field(None, max_length=40, description="to be written, by a model of several")
    validation_texts: int = Field(
        500, gt=0, le=100_000, description="texts that are written, greedily, at each evaluation during training"
    )
    prompt: PromptSettings | None = Field(
        None, description="for a model without encoder: a text with {text} in it, `chat`, or a section"
    )
    shared_vocabulary: bool = Field(
        True, description="one tokenizer for texts and targets, trained on both; false: one each, of the same size"
    )
    objective: ObjectiveSettings = ObjectiveSettings()

    @field_serializer("generation")
    def _as_given(self, generation: GenerationSettings) -> dict[str, Any]:
        """What is not given is the checkpoint's own: a recipe that is written down must not give it either."""
        return generation.model_dump(mode="json", exclude_unset=True)

    @property
    def label_kind(self) -> LabelKind:
        """What is read of each example beside its text."""
        return LabelKind.TEXT


class TranslationSettings(TextToTextSettings):
    """The ``task`` section of a translation recipe."""

    job: Literal["translation"] = Field(description="what the model is to do")


class SummarizationSettings(TextToTextSettings):
    """The ``task`` section of a summarization recipe."""

    job: Literal["summarization"] = Field(description="what the model is to do")


class TextToTextCard(Settings):
    """``task.json``: everything beside the network and the tokenizers that an answer depends on."""

    format_version: Literal[1] = 1
    job: Literal["translation", "summarization"]
    columns: Columns = Columns()
    max_length: int = Field(ge=8)
    max_target_length: int = Field(ge=8)
    generation: GenerationSettings
    source_language: str | None = Field(None, max_length=40)
    target_language: str | None = Field(None, max_length=40)
    prefix: str = Field("", max_length=1000, description="stands before each source, as T5 wants it")
    prompt: PromptSettings | None = Field(None, description="stands around each source, for a model without encoder")
    trust: TrustSettings | None = Field(None, description="how far answers can be trusted, found on held-out texts")
    results: dict[str, dict[str, str]] = Field(
        default_factory=dict,
        description="figures of the model card: data set -> metric -> value with interval",
    )
