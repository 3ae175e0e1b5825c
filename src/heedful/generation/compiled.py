"""Reading by a compiled network: no time goes into calling operations one by one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from heedful.inference import Compile, CompiledNetwork, Plan
from heedful.model import Transformer
from heedful.nn import Blocks, LayerCache

SOURCES = ((2, 9), (1, 2), (3, 40))
STEPS = ((2, 3, 8, 6), (1, 1, 32, 2), (3, 4, 64, 40))
"""Texts and tokens of sources, and texts, beams, columns and source tokens of steps, by which a compiled network is
compared with the model; a tracer sees the first of each."""


class CompiledWriter:
    """The encoder and the decoder's step of a model as another engine computes them."""

    def __init__(self, model: Transformer, compiled: Compile) -> None:
        """
        Args:
            model: in float32, on the processor.
            compiled: makes a compiled form of a network, by inputs of several shapes.

        Raises:
            UnsupportedError: ``compiled`` cannot.
        """
        self._model, self._make = model, compiled
        self._plan: Plan | None = None
        self.gives_logits = model.pointer is None
        """Whether a step ends with logits, or with the hidden states that they are made of."""
        self._encoder: CompiledNetwork | None = None
        if model.encoder is not None:
            self._encoder = compiled(_Encoder(model), [_source(model, *shape) for shape in SOURCES])
        self._step = self._compile_step()

    def _compile_step(self) -> CompiledNetwork:
        states = [_state(self._model, *shape) for shape in STEPS]
        return self._make(_Step(self._model, gives_logits=self.gives_logits), states, few_rows=True)

    @property
    def name(self) -> str:
        """Of the engine."""
        return self._step.name

    @property
    def side_by_side(self) -> bool:
        """Whether several workers write at a time."""
        return self._step.side_by_side

    def without_logits(self) -> CompiledWriter:
        """The same, whose steps end with hidden states, so that the tokens of a shortlist may change."""
        if not self.gives_logits:
            return self
        other = copy.copy(self)
        other.gives_logits = False
        other._step = other._compile_step()
        return other

    def planned(self, plan: Plan) -> CompiledWriter:
        """The same networks for one of the plan's workers; there is one, with all threads, unless a plan is given."""
        mine = copy.copy(self)
        mine._plan = plan
        return mine

    def _computed(self, engine: CompiledNetwork) -> Callable[..., Any]:
        return engine.network(self._plan or Plan(1, torch.get_num_threads()))

    def encode(self, ids: Tensor, mask: Tensor) -> Tensor:
        """As :meth:`Transformer.encode`, of a model that has an encoder."""
        assert self._encoder is not None
        hidden: Tensor = self._computed(self._encoder)(ids, mask)
        return hidden

    def read(
        self,
        ids: Tensor,
        *,
        positions: Tensor,
        key_positions: Tensor,
        before: Tensor,
        own: Tensor,
        memory_mask: Tensor,
        caches: Sequence[LayerCache],
    ) -> tuple[Tensor, Tensor]:
        """Read the next token of each of K beams of N texts; nothing is added to the caches.

        Args:
            ids: (N, K).
            positions: (N, K), of these tokens.
            key_positions: (N, C), of what is in the caches.
            before: (N, K, C) boolean, True where a beam may look.
            own: (K, K) boolean, which of these tokens each of them sees.
            memory_mask: (N, S) boolean; of a model without encoder S is 0.
            caches: with room for C columns, S source tokens.

        Returns:
            Logits (N, K, V), or hidden states (N, K, D), whose logits take more: where the model copies, or only the
            tokens of a shortlist are written. And the keys and values (2, N, G, K, width) of each layer in turn, as a
            row of numbers.
        """
        masks = () if self._encoder is None else (memory_mask,)
        parts = (part for cache in caches for part in (cache.keys, cache.values, *(cache.memory or ())))
        states, added = self._computed(self._step)(ids, positions, key_positions, before, own, *masks, *parts)
        return states, added


class _Encoder(nn.Module):
    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """(B, S) -> (B, S, D)."""
        return self.model.encode(ids, mask)


class _Step(nn.Module):
    """A step from all that it depends on to logits, and to the keys and values of all layers that it adds.

    These are one row of numbers: each output costs time by itself, and a layer would have two.
    """

    def __init__(self, model: Transformer, *, gives_logits: bool) -> None:
        super().__init__()
        self.model = model
        self.gives_logits = gives_logits

    def extra_repr(self) -> str:
        """What tells it from the other one of the same model."""
        return f"gives_logits={self.gives_logits}"

    def forward(
        self, ids: Tensor, positions: Tensor, key_positions: Tensor, before: Tensor, own: Tensor, *rest: Tensor
    ) -> tuple[Tensor, Tensor]:
        """``rest``: the memory's mask, if there is a memory, and the tensors of each layer's cache."""
        assert self.model.decoder is not None
        parts = iter(rest)
        memory_mask = None
        if self.model.encoder is not None:  # where there is no text, all is seen: nobody looks at what comes of it
            memory_mask = next(parts)
            memory_mask = memory_mask | ~memory_mask.any(1, keepdim=True)
        caches = []
        for shape in self.model.decoder.memory_shapes:
            cache = _Growing(next(parts), next(parts))
            cache.memory = None if shape is None else ((next(parts),), (next(parts),))
            caches.append(cache)
        hidden = self.model.step(
            ids,
            positions=positions,
            key_positions=torch.cat([key_positions, positions], dim=1),
            visible=torch.cat([before, own.expand(ids.shape[0], -1, -1)], dim=2),
            memory_mask=memory_mask,
            caches=caches,
        )
        written = self.model.logits(hidden) if self.gives_logits else hidden
        return written, torch.cat([part.flatten() for cache in caches for part in cache.added])


class _Growing(LayerCache):
    """Keeps what is added apart, and what is there in blocks, since to join them would be most of a step's work."""

    added: tuple[Tensor, Tensor]
    memory: Any

    def append(self, keys: Tensor, values: Tensor) -> tuple[Blocks, Blocks]:
        self.added = keys, values
        return (self.keys, keys), (self.values, values)


def _source(model: Transformer, num_texts: int, length: int) -> tuple[Tensor, Tensor]:
    """Random ids and a mask, no longer than texts may be; the last one is a third shorter."""
    assert model.encoder is not None
    length = min(length, model.encoder.max_positions or length)
    generator = torch.Generator().manual_seed(length)
    ids = torch.randint(model.token_embedding.num_embeddings, (num_texts, length), generator=generator)
    mask = torch.ones_like(ids, dtype=torch.bool)
    if num_texts > 1:
        mask[-1, length - length // 3 :] = False
    return ids, mask


def _state(model: Transformer, num_texts: int, num_beams: int, columns: int, length: int) -> tuple[Tensor, ...]:
    """Random inputs of a step in the middle of texts."""
    assert model.decoder is not None
    generator = torch.Generator().manual_seed(columns)
    ids = torch.randint(model.written_embedding.num_embeddings, (num_texts, num_beams), generator=generator)
    position = min(max(1, columns // num_beams), (model.decoder.max_positions or columns + 1) - 1)
    positions = torch.full_like(ids, position)
    key_positions = torch.randint(position, (num_texts, columns), generator=generator)
    before = torch.rand(num_texts, num_beams, columns, generator=generator) > 0.5
    state = [ids, positions, key_positions, before, torch.eye(num_beams, dtype=torch.bool)]
    if model.encoder is not None:
        mask = _source(model, num_texts, length)[1]
        length = mask.shape[1]
        state.append(mask)
    for (heads, width), memory in zip(model.decoder.head_shapes, model.decoder.memory_shapes, strict=True):
        state += torch.randn(2, num_texts, heads, columns, width, generator=generator)
        if memory is not None:
            state += torch.randn(2, num_texts, memory[0], length, memory[1], generator=generator)
    return tuple(state)
