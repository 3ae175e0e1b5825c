"""A text while it is written: what each token adds to it, whole characters only."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from heedful.generation import CompiledWriter, Hypothesis, Request, SlotEngine
from heedful.model import Transformer
from heedful.text import Tokenizer

_BROKEN = "\N{REPLACEMENT CHARACTER}"
"""What decoders write for bytes that are no character, such as the first ones of a character of several."""


class TextStream:
    """Makes a text of tokens as they come; its pieces, joined, are the decoded text without blanks at its ends."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._tokens: list[int] = []
        self._told = ""

    def push(self, token: int) -> str:
        """What a token adds, maybe nothing: blanks and beginnings of characters wait for what follows."""
        self._tokens.append(token)
        return self._tell(self._text.rstrip(_BROKEN).rstrip())

    def finish(self) -> str:
        """What is left when no more tokens come."""
        return self._tell(self._text)

    @property
    def _text(self) -> str:
        # All of it each time: what a token stands for may depend on those before it.
        return self._tokenizer.decode(self._tokens).strip()

    def _tell(self, text: str) -> str:
        if not text.startswith(self._told):  # a run of bytes that is no text until its last one has come
            return ""
        piece = text[len(self._told) :]
        self._told = text
        return piece


def stream_text(
    model: Transformer, request: Request[int], tokenizer: Tokenizer, compiled: CompiledWriter | None = None
) -> Generator[str, None, list[Hypothesis]]:
    """Write one text and give its pieces as they come.

    Args:
        request: with one beam.
        tokenizer: of what is written.
        compiled: the same model, which reads in its place.

    Returns:
        What :meth:`SlotEngine.run` gives for the text.

    Raises:
        RequestError: the request has more beams than one.
    """
    written: list[int] = []
    stream = TextStream(tokenizer)
    engine: SlotEngine[int] = SlotEngine(model, num_slots=1, num_beams=request.settings.num_beams, compiled=compiled)
    engine.admit([replace(request, on_token=written.append)])
    finished: list[tuple[int, list[Hypothesis]]] = []
    while not finished:
        written.clear()
        finished = engine.step()
        if piece := "".join(map(stream.push, written)):
            yield piece
    if piece := stream.finish():
        yield piece
    return finished[0][1]
