"""The model card of a translator or summarizer."""

from __future__ import annotations

from heedful.model import Transformer
from heedful.tasks.model_card import kind_and_size, write_card
from heedful.tasks.text_to_text.settings import TextToTextCard

NAMES = {"translation": "translator", "summarization": "summarizer"}


def model_card(card: TextToTextCard, model: Transformer, name: str) -> str:
    """What the model is, what it reached and how it is used, as Markdown."""
    generation, named = card.generation, NAMES[card.job]
    search = f"with {generation.num_beams} beams" if generation.num_beams > 1 else "greedily"
    said = [
        f"A {named} trained with heedful: {kind_and_size(model)}. It reads texts of up to "
        f"{card.max_length} tokens and writes up to {generation.max_new_tokens}, "
        f"{'at random' if generation.do_sample else search}."
    ]
    if card.source_language or card.target_language:
        said.append(f"Languages: from {card.source_language or 'any'} to {card.target_language or 'any'}.")
    if card.prompt is not None:
        who = "What a user says to it" if card.prompt.chat else "What it reads"
        fence = "`" * 4
        said.append(f"{who}:\n\n{fence}text\n{card.prompt.template}\n{fence}")
    return write_card(name, pipeline_tag=card.job, paragraphs=said, results=card.results, variable=named)
