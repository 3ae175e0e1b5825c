"""The Transformer: encoder, decoder or both, and the token embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from heedful.errors import InputTooLongError, RequestError, UnsupportedError
from heedful.model.spec import TransformerSpec
from heedful.nn import (
    Copies,
    CopySource,
    KeyValueCache,
    LanguageModelHead,
    LayerCache,
    Pointer,
    Shortlist,
    Stack,
    mixture,
)


class Transformer(nn.Module):
    """What ``heedful.model.build`` makes of a ``TransformerSpec``.

    A mask is boolean and True at real tokens; None where all are, which lets attention take its fastest path.
    """

    def __init__(
        self,
        spec: TransformerSpec,
        *,
        token_embedding: nn.Embedding,
        target_embedding: nn.Embedding | None = None,
        encoder: Stack | None = None,
        decoder: Stack | None = None,
        output: LanguageModelHead | None = None,
        pointer: Pointer | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.token_embedding = token_embedding
        self.target_embedding = target_embedding
        self.encoder = encoder
        self.decoder = decoder
        self.output = output
        self.pointer = pointer
        self.shortlist: Shortlist | None = None

    @property
    def d_model(self) -> int:
        """D, the width of the hidden states."""
        return self.spec.d_model

    @property
    def written_embedding(self) -> nn.Embedding:
        """The table of the tokens that the decoder reads and writes."""
        return self.token_embedding if self.target_embedding is None else self.target_embedding

    @property
    def max_positions(self) -> int | None:
        """The longest text that ``encode`` takes, or ``decode`` in a decoder-only model; None if there is no limit."""
        reader = self.encoder or self.decoder
        return None if reader is None else reader.max_positions

    def encode(self, ids: Tensor, mask: Tensor | None = None, token_types: Tensor | None = None) -> Tensor:
        """Read texts.

        Args:
            ids: (B, S) int64.
            mask: (B, S) boolean.
            token_types: (B, S) int64, all 0 unless given.

        Returns:
            Hidden states (B, S, D).

        Raises:
            UnsupportedError: the model has no encoder, or no token types.
            InputTooLongError: S exceeds ``max_positions``.
            RequestError: ids, mask or token types have the wrong shape or type.
        """
        if self.encoder is None:
            raise UnsupportedError("this model has no encoder", remedy="Use decode: it is a decoder-only model.")
        if token_types is not None and self.encoder.embeddings.token_types is None:
            raise UnsupportedError("this model has no token types", remedy="Leave token_types out.")
        tokens = _embed(self.token_embedding, ids, self.encoder.max_positions)
        _check_shape("mask", mask, ids.shape, torch.bool)
        _check_shape("token_types", token_types, ids.shape, torch.int64)
        hidden: Tensor = self.encoder(tokens, mask=mask, token_types=token_types)
        return hidden

    def decode(
        self,
        ids: Tensor,
        memory: Tensor | None = None,
        memory_mask: Tensor | None = None,
        mask: Tensor | None = None,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """Read target texts, each token seeing itself and what came before.

        Args:
            ids: (B, T) int64.
            memory: (B, S, D) from ``encode``, where the model has an encoder; a cache reads it once.
            memory_mask: (B, S) boolean.
            mask: (B, T) boolean. Padding after the last token needs none: earlier tokens never see it.
            cache: from ``new_cache``; the tokens it holds precede these, and these are added to it.

        Returns:
            Hidden states (B, T, D).

        Raises:
            UnsupportedError: the model has no decoder, or memory is given to one that reads none.
            InputTooLongError: the tokens exceed ``max_positions`` or the cache.
            RequestError: memory is missing, or a tensor has the wrong shape or type.
        """
        if self.decoder is None:
            raise UnsupportedError("this model has no decoder", remedy="Use encode: it is an encoder-only model.")
        past = 0 if cache is None else cache.length
        tokens = _embed(self.written_embedding, ids, self.decoder.max_positions, past=past)
        _check_shape("mask", mask, ids.shape, torch.bool)
        self._check_memory(ids.shape[0], memory, memory_mask)
        if cache is not None:
            _check_cache(cache, ids.shape[0])
        hidden: Tensor = self.decoder(tokens, mask=mask, memory=memory, memory_mask=memory_mask, cache=cache)
        return hidden

    def step(
        self,
        ids: Tensor,
        *,
        positions: Tensor,
        key_positions: Tensor,
        visible: Tensor,
        memory_mask: Tensor | None,
        caches: Sequence[LayerCache],
    ) -> Tensor:
        """Read the next token of each of K beams of B texts: ids (B, K) -> (B, K, D); see :meth:`Stack.step`.

        For the search of :mod:`heedful.generation`, which checks what it gives.
        """
        assert self.decoder is not None
        hidden: Tensor = self.decoder.step(
            self.written_embedding(ids),
            positions=positions,
            key_positions=key_positions,
            visible=visible,
            memory_mask=memory_mask,
            caches=caches,
        )
        return hidden

    def project_memory(self, memory: Tensor) -> list[tuple[Tensor, Tensor] | None]:
        """What the decoder's layers, in the order they are run, look at of the encoder's output (B, S, D).

        Returns:
            Keys and values (B, G, S, K) of each cross-attention, None where a layer has none.
        """
        assert self.decoder is not None
        return self.decoder.project_memory(memory)

    def copy_source(self, ids: Tensor, memory: Tensor, mask: Tensor | None = None) -> CopySource | None:
        """What may be copied of texts (B, S), ``memory`` being what ``encode`` made of them; None without a pointer."""
        return None if self.pointer is None else self.pointer.read(ids, memory, mask)

    def copies(self, hidden: Tensor, source: CopySource | None) -> Copies | None:
        """What each hidden state (B, T, D) of the decoder may copy, for ``logits``; None without a pointer.

        Raises:
            RequestError: the model has a pointer, and no source is given.
        """
        if self.pointer is None:
            return None
        if source is None:
            raise RequestError(
                "this model copies tokens of the source, and none is given",
                remedy="Give what model.copy_source(ids, memory, mask) returns.",
            )
        copies: Copies = self.pointer(hidden, source)
        return copies

    def set_shortlist(self, tokens: Iterable[int] | None) -> None:
        """Choose the tokens that ``logits`` has on demand, or all of them again.

        It holds until the weights change, and is not saved.

        Raises:
            UnsupportedError: the model has no language-model head.
        """
        if self.output is None:
            raise _no_head()
        table = self.written_embedding.weight
        self.shortlist = None if tokens is None else Shortlist(self.output, table, tokens)

    def logits(self, hidden: Tensor, copies: Copies | None = None, *, listed: bool = False) -> Tensor:
        """Hidden states (..., D) -> logits over the vocabulary (..., V).

        Args:
            copies: for a model with a pointer, what ``copies`` returned for these states. The logits then are the
                log-probabilities of writing or copying a token.
            listed: whether only the tokens of a shortlist are wanted, if there is one; others are -inf, or, where they
                could be copied, as good as that unless they are.

        Raises:
            UnsupportedError: the model has no language-model head.
            RequestError: the model has a pointer, and no copies are given; or the other way round.
        """
        if self.output is None:
            raise _no_head()
        if (self.pointer is None) != (copies is None):
            raise RequestError(
                f"this model {'copies nothing' if copies else 'copies tokens of the source'}",
                remedy="Give logits what model.copies(hidden, source) returns.",
            )
        shortlist = self.shortlist if listed else None
        logits: Tensor = self.output(
            hidden, self.written_embedding.weight, None if shortlist is None else shortlist.product
        )
        if shortlist is not None:
            logits = shortlist(logits, copied=copies is not None)
        return logits if copies is None else mixture(logits, copies)

    def new_cache(self, batch_size: int, max_length: int) -> KeyValueCache:
        """Room for keys and values of ``batch_size`` texts of up to ``max_length`` tokens, for ``decode``.

        Raises:
            UnsupportedError: the model has no decoder.
        """
        if self.decoder is None:
            raise UnsupportedError("this model has no decoder, and so no cache", remedy="Use encode without one.")
        weight = self.written_embedding.weight
        return self.decoder.new_cache(batch_size, max_length, dtype=weight.dtype, device=weight.device)

    def _check_memory(self, batch_size: int, memory: Tensor | None, memory_mask: Tensor | None) -> None:
        if self.encoder is None:
            if memory is not None:
                raise UnsupportedError("this model reads no memory: it has no encoder", remedy="Leave memory out.")
            return
        if memory is None:
            raise RequestError("the decoder needs memory", remedy="Give memory=model.encode(source_ids, source_mask).")
        if memory.dim() != 3 or memory.shape[0] != batch_size:
            raise RequestError(
                f"memory must be of shape ({batch_size}, source tokens, d_model), not {tuple(memory.shape)}",
                remedy="Give what encode returned for the sources of these very texts.",
            )
        _check_shape("memory_mask", memory_mask, memory.shape[:2], torch.bool)


def _no_head() -> UnsupportedError:
    return UnsupportedError("this model has no language-model head", remedy="Give its spec an output, and train it.")


def _embed(table: nn.Embedding, ids: Tensor, limit: int | None, *, past: int = 0) -> Tensor:
    """Token vectors (B, T, D); refuses ids of the wrong shape or type, too many, or out of the vocabulary."""
    if ids.dim() != 2 or ids.dtype != torch.int64:
        raise RequestError(
            f"ids must be int64 of shape (texts, tokens), not {ids.dtype} of shape {tuple(ids.shape)}",
            remedy="Pad texts of unequal length into one tensor, and give a mask.",
        )
    length = past + ids.shape[1]
    if limit is not None and length > limit:
        raise InputTooLongError(
            f"a text of {length} tokens was given; the model takes {limit}",
            remedy="Shorten or split the text, or train a model with more positions.",
        )
    try:
        vectors: Tensor = table(ids)
    except IndexError:
        raise RequestError(
            f"ids run from {ids.min()} to {ids.max()}; the vocabulary ends at {table.num_embeddings - 1}",
            remedy="Use the tokenizer that the model was trained with.",
        ) from None
    return vectors


def _check_cache(cache: KeyValueCache, batch_size: int) -> None:
    if cache.batch_size != batch_size:
        raise RequestError(
            f"the cache was made for {cache.batch_size} texts, not {batch_size}",
            remedy="Make one cache for each batch.",
        )
    if torch.is_grad_enabled():
        raise RequestError(
            "a cache keeps no gradients", remedy="Decode under torch.inference_mode(), or without a cache."
        )


def _check_shape(name: str, tensor: Tensor | None, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    shape = tuple(shape)
    if tensor is not None and (tensor.shape != shape or tensor.dtype != dtype):
        raise RequestError(
            f"{name} must be {dtype} of shape {shape}, not {tensor.dtype} of shape {tuple(tensor.shape)}",
            remedy="A mask is boolean, True at real tokens; give one value for each token.",
        )
