"""What classification can be told: the recipe's ``task`` section, and what a saved classifier remembers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from heedful.data import Columns, LabelKind
from heedful.model import ClassificationHeadSpec, Pooling
from heedful.settings import Settings
from heedful.text import LongInput


class ObjectiveSettings(Settings):
    """What is minimised in training."""

    label_smoothing: float = Field(
        0.1, ge=0, lt=1, description="share of the target spread over all labels (Szegedy et al. 2016)"
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: a label weighs in inverse proportion to its frequency"
    )
    token_dropout: float = Field(
        0.1, ge=0, lt=1, description="share of the tokens hidden behind the mask token at each training step"
    )
    subword_dropout: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="subword regularisation: probability that a longer piece is not used; no effect on characters",
    )
    mixup: float = Field(
        1.0,
        ge=0,
        le=100,
        description="texts are learnt from in mixtures of two, in shares drawn from Beta(mixup, mixup); 0 for none",
    )


class ClassificationSettings(Settings):
    """The ``task`` section of a classification recipe."""

    job: Literal["classification"] = Field(description="what the model is to do")
    labels: Literal[LabelKind.SINGLE, LabelKind.MULTI] = Field(
        LabelKind.SINGLE, description="single: a text has one label; multi: any number of them"
    )
    out_of_scope: str | None = Field(
        None, description="a label that is not learnt: evaluation measures how well low confidence detects it"
    )
    max_length: int = Field(128, ge=8, le=8192, description="tokens of a text, or of one window of it")
    long_input: LongInput = Field(LongInput.WINDOW, description="what happens to a text of more tokens than that")
    pooling: Pooling | None = Field(
        None,
        description="which hidden states stand for a text; padding never does. If not given, that of the checkpoint's "
        "classifiers; else mean, or last of a decoder",
    )
    dense: bool | None = Field(
        None,
        description="a dense layer with activation before the output; if not given, as the checkpoint's classifiers "
        "have it, else none",
    )
    head_dropout: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="of the pooled state, before the output; if not given, that of the checkpoint's classifiers, "
        "else 0.1",
    )
    calibrate: bool = Field(True, description="fit a temperature on the validation data")
    abstain_below: float | None = Field(None, gt=0, le=1, description="no label is given below this score")
    objective: ObjectiveSettings = ObjectiveSettings()

    @model_validator(mode="after")
    def _one_label_features(self) -> ClassificationSettings:
        if self.labels is LabelKind.MULTI:
            for name in ("out_of_scope", "abstain_below"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} needs labels: single; with several labels, none is an answer too")
        return self

    @property
    def label_kind(self) -> LabelKind:
        """What is read of each example beside its text."""
        return self.labels

    def head(self, usual: ClassificationHeadSpec, num_labels: int) -> ClassificationHeadSpec:
        """``usual`` with what these settings say otherwise."""
        given = {"pooling": self.pooling, "dense": self.dense, "dropout": self.head_dropout}
        changes = {name: value for name, value in given.items() if value is not None}
        return usual.model_copy(update={**changes, "num_labels": num_labels})


class ClassifierCard(Settings):
    """``task.json``: everything beside the network and the tokenizer that an answer depends on."""

    format_version: Literal[1] = 1
    job: Literal["classification"] = "classification"
    labels: Annotated[tuple[str, ...], Field(min_length=2)]
    label_kind: Literal[LabelKind.SINGLE, LabelKind.MULTI] = LabelKind.SINGLE
    columns: Columns = Columns()
    reads_both: bool = Field(False, description="single texts and pairs; otherwise the one that columns tell")
    max_length: int = Field(ge=8)
    long_input: LongInput
    head: ClassificationHeadSpec
    decoder_start: int | None = Field(
        None, ge=0, description="beside an encoder, the token that the decoder reads first"
    )
    temperature: float = Field(1.0, gt=0, description="divides the logits (Guo et al. 2017)")
    threshold: float = Field(0.5, gt=0, lt=1, description="with several labels, the score a label is given at")
    abstain_below: float | None = Field(None, gt=0, le=1)
    out_of_scope: str | None = None
    faithfulness: dict[str, dict[str, float]] = Field(
        default_factory=dict, description="how far explanations can be trusted: method -> metric -> value"
    )
    results: dict[str, dict[str, str]] = Field(
        default_factory=dict,
        description="figures of the model card: data set -> metric -> value with interval",
    )

    @model_validator(mode="after")
    def _consistent(self) -> ClassifierCard:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels holds a label twice")
        if self.head.num_labels != len(self.labels):
            raise ValueError(f"head.num_labels is {self.head.num_labels}, but there are {len(self.labels)} labels")
        return self
