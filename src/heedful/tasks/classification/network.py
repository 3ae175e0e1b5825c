"""A model with a classification head, as one module. R rows, S tokens, D width, C labels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from heedful.model import ClassificationHead, Transformer
from heedful.nn.tracing import is_traced
from heedful.tasks.own_module import TextEncoder


class ClassificationNetwork(nn.Module):
    """Texts to logits, whatever reads the texts: an encoder, a decoder, both, or a module of the user's own."""

    def __init__(self, model: TextEncoder, head: ClassificationHead, *, decoder_start: int | None = None) -> None:
        """
        Args:
            model: an ``nn.Module``.
            decoder_start: the token that a decoder beside an encoder reads first.
        """
        super().__init__()
        assert isinstance(model, nn.Module)
        self.model: nn.Module = model
        self.head = head
        self.decoder_start = decoder_start

    @property
    def knows_token_types(self) -> bool:
        """Whether the model tells one text of a pair from the other by the types of their tokens."""
        encoder = self.model.encoder if isinstance(self.model, Transformer) else None
        known = None if encoder is None else encoder.embeddings.token_types
        return known is not None and known.num_embeddings > 1

    def forward(self, ids: Tensor, mask: Tensor, token_types: Tensor | None = None) -> Tensor:
        """Ids (R, S) int64, mask (R, S) bool and token types (R, S) int64 -> logits (R, C).

        Token types are left out where the model knows none.
        """
        states = self.hidden(ids, mask, token_types)
        logits: Tensor = self.head(states.to(self.head.output.weight.dtype), mask)
        return logits

    def hidden(self, ids: Tensor, mask: Tensor, token_types: Tensor | None = None) -> Tensor:
        """The states (R, S, D) that the head reads.

        A decoder beside an encoder reads the text once more, one place to the right, so that its state at the last
        token has seen all others (Lewis et al. 2020, section 3.1).
        """
        model = self.model
        if not isinstance(model, Transformer):
            states: Tensor = model.encode(ids, mask)  # type: ignore[operator]  # an attribute of any module
            return states
        hiding = (
            mask if is_traced() or not bool(mask.all()) else None
        )  # attention is faster where it has nothing to hide
        if model.encoder is None:
            return model.decode(ids, mask=hiding)
        memory = model.encode(ids, hiding, token_types if self.knows_token_types else None)
        if model.decoder is None:
            return memory
        start = torch.full_like(ids[:, :1], self.decoder_start or 0)
        return model.decode(torch.cat([start, ids[:, :-1]], 1), memory, hiding)
