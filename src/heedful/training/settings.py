"""How a model is trained: the ``training`` section of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from heedful.settings import Settings


class FreezeSettings(Settings):
    """What keeps the weights that it starts from."""

    embeddings: bool = Field(
        False, description="token, position and type embeddings, with all that is below the layers"
    )
    layers: int = Field(0, ge=0, le=1024, description="so many layers of each stack, counted from the embeddings")


class LoraSettings(Settings):
    """Low-rank adapters (Hu et al. 2021): the model is frozen, they and the head learn."""

    rank: int = Field(8, gt=0, le=4096, description="rows and columns of an adapter's two matrices")
    alpha: float = Field(16, gt=0, le=1e6, description="an adapter's output is scaled by alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="of an adapter's input")
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        ("query", "value"),
        description="linear layers that are adapted, by the last part of their names: "
        "`query`, `key`, `value`, `output`, `up`, `gate`, `down`",
    )


class TrainingSettings(Settings):
    """Everything the trainer decides by; nothing in here knows the job."""

    epochs: float = Field(20, gt=0, le=100_000, description="passes over the training data")
    max_steps: int | None = Field(None, gt=0, description="stop after this many optimiser steps, if sooner")
    tokens_per_batch: int = Field(1024, ge=8, description="token budget of one batch, padding included")
    accumulation: int = Field(1, gt=0, le=4096, description="batches summed up for one optimiser step")
    optimizer: Literal["adamw", "muon"] = Field(
        "adamw",
        description="`muon` moves the matrices of layers by orthogonal steps, all else by AdamW: models from scratch "
        "learn more in their first epochs",
    )
    learning_rate: float = Field(1e-3, gt=0, le=10, description="peak learning rate")
    head_learning_rate: float | None = Field(
        None, gt=0, le=10, description="peak rate of the head; `learning_rate` if not given"
    )
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="each layer learns at the rate of the one above it times this, embeddings last"
    )
    freeze: FreezeSettings = FreezeSettings()
    lora: LoraSettings | None = Field(None, description="train low-rank adapters in place of the model; null for none")
    schedule: Literal["cosine", "linear", "constant", "inverse_square_root"] = Field(
        "cosine", description="how the rate goes on after the warm-up"
    )
    warmup: float = Field(0.06, ge=0, description="steps of linear rise; below 1, a share of all steps")
    betas: tuple[float, float] = Field((0.9, 0.98), description="decay of AdamW's averages of gradient and square")
    epsilon: float = Field(1e-8, gt=0, description="added to the root of the squares, against division by zero")
    weight_decay: float = Field(0.01, ge=0, description="on matrices, not on biases and norms")
    clip_norm: float = Field(1.0, gt=0, description="gradients are scaled down to this norm")
    weight_average: float = Field(
        0.0, ge=0, lt=1, description="decay of an exponential average of the weights, 0 for none"
    )
    average_last: int | None = Field(
        None,
        gt=1,
        le=100,
        description="keep the mean of so many of the last checkpoints, one at each evaluation; null for none",
    )
    evaluate_every: float = Field(1.0, gt=0, description="epochs between evaluations")
    patience: int | None = Field(None, gt=0, description="evaluations without a better one before stopping")
    select_by: str | None = Field(None, description="metric that chooses the best state; the job's own if not given")
    log_every: int = Field(20, gt=0, description="steps between records in metrics.jsonl")
    threads: int | None = Field(None, gt=0, description="processor threads; OMP_NUM_THREADS or all cores if not given")

    @model_validator(mode="after")
    def _adapters_by_adamw(self) -> TrainingSettings:
        if self.lora is not None and self.optimizer == "muon":
            raise ValueError("the matrices of adapters are learnt by adamw; leave optimizer out")
        return self

    @model_validator(mode="after")
    def _averages_one_way(self) -> TrainingSettings:
        if self.average_last is not None and self.weight_average:
            raise ValueError("average_last and weight_average are two averages of the weights; give one of them")
        return self

    def warmup_steps(self, total: int) -> int:
        """Warm-up in steps, of ``total`` steps in all."""
        return round(self.warmup * total) if self.warmup < 1 else round(self.warmup)
