"""How a model is trained: the ``training`` section of a recipe."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from heedful.settings import Settings


class TrainingSettings(Settings):
    """Everything the trainer decides by; nothing in here knows the job."""

    epochs: float = Field(20, gt=0, le=100_000, description="passes over the training data")
    max_steps: int | None = Field(None, gt=0, description="stop after this many optimiser steps, if sooner")
    tokens_per_batch: int = Field(1024, ge=8, description="token budget of one batch, padding included")
    accumulation: int = Field(1, gt=0, le=4096, description="batches summed up for one optimiser step")
    learning_rate: float = Field(1e-3, gt=0, le=10, description="peak learning rate of AdamW")
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
    evaluate_every: float = Field(1.0, gt=0, description="epochs between evaluations")
    patience: int | None = Field(None, gt=0, description="evaluations without a better one before stopping")
    select_by: str | None = Field(None, description="metric that chooses the best state; the job's own if not given")
    log_every: int = Field(20, gt=0, description="steps between records in metrics.jsonl")
    threads: int | None = Field(None, gt=0, description="processor threads; all cores if not given")

    def warmup_steps(self, total: int) -> int:
        """Warm-up in steps, of ``total`` steps in all."""
        return round(self.warmup * total) if self.warmup < 1 else round(self.warmup)
