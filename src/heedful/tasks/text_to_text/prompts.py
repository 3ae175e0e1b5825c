"""What a model without encoder reads around each text."""

from __future__ import annotations

from heedful.errors import RequestError
from heedful.model import Transformer
from heedful.tasks.text_to_text.settings import TEXT_PLACE, PromptSettings
from heedful.text import Tokenizer

USUAL_PROMPTS = {
    "translation": PromptSettings(template=TEXT_PLACE + "\nTranslation:\n"),
    "summarization": PromptSettings(template=TEXT_PLACE + "\nTL;DR:\n"),
}
"""By job; that of summaries is of Radford et al. 2019, section 3.6."""


def prompt_of(
    job: str, model: Transformer, tokenizer: Tokenizer, wanted: PromptSettings | None = None
) -> PromptSettings | None:
    """The prompt of a model: the one that is wanted, or the usual one; None for a model with an encoder.

    The usual one is what a user says where a model was made for conversations.

    Raises:
        RequestError: a prompt is wanted of a model with an encoder, or a conversation without a chat template.
    """
    if model.encoder is not None:
        if wanted is not None:
            raise RequestError(
                "a prompt is given, and the model has an encoder, which reads the text itself",
                remedy="Leave the prompt out, or take a model without encoder.",
            )
        return None
    prompt = wanted or USUAL_PROMPTS[job].model_copy(update={"chat": tokenizer.has_chat_template})
    if prompt.chat and not tokenizer.has_chat_template:
        raise RequestError(
            "the prompt is to be part of a conversation, and the tokenizer has no chat template",
            remedy="Write the prompt out, as a text with {text} in it, and leave prompt.chat out.",
        )
    return prompt
