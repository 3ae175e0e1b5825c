"""A translator that learns in seconds: words stand for words, in their order."""

from __future__ import annotations

WORDS = {"red": "rot", "green": "grün", "blue": "blau", "dog": "hund", "cat": "katze", "bird": "vogel"}
SENTENCES = [f"{first} {second} {third}" for first in WORDS for second in WORDS for third in WORDS if first < second]
TOY = (
    "model={d_model: 64, num_layers: 1, num_heads: 4, d_ff: 128, dropout: 0}",
    "tokenizer.vocabulary_size=320",
    "task={max_length: 16, max_target_length: 16, validation_texts: 20, objective: {subword_dropout: 0}}",
    "training={epochs: 80, tokens_per_batch: 512, learning_rate: 0.005, warmup: 40, weight_average: 0}",
    "training.evaluate_every=80",
    "training.threads=1",
)


def translated(sentence: str) -> str:
    """What the translator has learnt to write."""
    return " ".join(WORDS[word] for word in sentence.split())
