"""What a batch of texts that are being written remembers. N slots, K beams, C columns.

Keys and values of every token that any beam has read stand in columns that are only ever added to: a beam that
branches copies nothing. Which columns a beam may look at, its own past, is a mask that moves with the beams. All slots
write the next K columns at the same time. Where the room is full, each slot drops the columns that none of its beams
sees any more: those of hypotheses that were given up, and of what stood there before its text began.

A text with one beam may read several tokens in a row instead, K of them at the most: the next one, and a draft of what
may come after it. Of the draft stays what turns out to be right.

What a text begins with, its prompt, is read in one pass, and stands in columns at the front that are the slot's own:
its beams share them, and they stay where they are while the text is written.

The encoder's output is projected once for a text and shared by its beams, which are its queries.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from heedful.generation.compiled import CompiledWriter
from heedful.model import Transformer
from heedful.nn import CopySource, LayerCache

FREE_COLUMNS = 32
"""That there is room for beside those that beams see, at least."""
PROMPT_TOKENS = 8192
"""Tokens of prompts, padding among them, that are read in one pass."""


def room_for(columns: int, width: int) -> int:
    """Columns to set aside where so many are seen, and ``width`` are added in a step.

    A step computes on all of them, and whenever they are full some move.
    """
    free = max(FREE_COLUMNS, 2 * width, columns // 4)
    return -(-(columns + free) // 16) * 16  # few different shapes, for which engines prepare


class Slots:
    """Caches and masks of N texts that are written side by side."""

    def __init__(
        self, model: Transformer, num_slots: int, num_beams: int, compiled: CompiledWriter | None = None
    ) -> None:
        assert model.decoder is not None
        self.model = model
        self._compiled = compiled
        self.num_beams = num_beams
        weight = model.token_embedding.weight
        self._dtype, self._device = weight.dtype, weight.device
        room = room_for(0, num_beams)
        self._stored = [
            torch.zeros(2, num_slots, heads, room, width, dtype=self._dtype, device=self._device)
            for heads, width in model.decoder.head_shapes
        ]
        """Keys and values (2, N, G, columns, K) of each layer; the caches show them."""
        self.caches = [LayerCache(*both) for both in self._stored]
        self.positions = torch.zeros(num_slots, dtype=torch.int64, device=self._device)
        """(N,), of the token that each slot reads next."""
        self._visible = torch.zeros(num_slots, num_beams, room, dtype=torch.bool, device=self._device)
        self._key_positions = torch.zeros(num_slots, room, dtype=torch.int64, device=self._device)
        self._memory_mask = torch.zeros(num_slots, 0, dtype=torch.bool, device=self._device)
        self._source: CopySource | None = None
        """(N, S), what may be copied, where the model copies."""
        self._longest = 0
        """Source tokens of the longest text."""
        self._busy = torch.zeros(num_slots, dtype=torch.bool, device=self._device)
        """(N,), whether a text is being written."""
        self._itself = torch.eye(num_beams, dtype=torch.bool, device=self._device)
        self._prompt_columns = 0
        self._columns = 0
        """All that hold something, those of prompts among them."""

    @property
    def num_slots(self) -> int:
        """N."""
        return len(self.positions)

    def admit(
        self,
        slots: Sequence[int],
        memory: Tensor | None,
        memory_mask: Tensor | None,
        source: CopySource | None = None,
    ) -> None:
        """Begin texts in empty slots.

        Args:
            slots: their numbers, n of them.
            memory: (n, S, D), the encoder's output; None for a model without encoder.
            memory_mask: (n, S), True at real tokens.
            source: (n, S), what may be copied; None for a model that copies nothing.
        """
        index = torch.tensor(list(slots), device=self._device)
        self.positions[index] = 0
        self._busy[index] = True
        self._visible[index] = False
        if memory is None or memory_mask is None:
            return
        self._widen_memory(memory.shape[1])
        width = memory.shape[1]
        self._memory_mask[index] = False
        self._memory_mask[index, :width] = memory_mask
        self._measure()
        for cache, projected in zip(self.caches, self.model.project_memory(memory), strict=True):
            if projected is not None and cache.memory is not None:
                for kept, new in zip(cache.memory, projected, strict=True):
                    kept[index, :, :width] = new
        if source is not None:
            self._source = self._with_room(source)
            for kept, new in zip(self._source, source, strict=True):
                kept[index] = 0
                kept[index, :width] = new

    def read_prompts(
        self, slots: Sequence[int], prompts: Sequence[Sequence[int]], memory: Tensor | None, memory_mask: Tensor | None
    ) -> None:
        """Read what n texts that were just admitted begin with, all tokens of a text at once.

        Args:
            prompts: without the token that each slot reads next.
            memory, memory_mask: as for :meth:`admit`.
        """
        width = max(map(len, prompts))
        if width > self._prompt_columns:
            self._compact(width, self._visible.shape[-1] + width - self._prompt_columns)
            self._key_positions[:, :width] = torch.arange(width, device=self._device)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=self._device)
        ids = torch.zeros(len(prompts), width, dtype=torch.int64, device=self._device)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)] = torch.tensor(prompt, device=self._device)
        index = torch.tensor(list(slots), device=self._device)
        self.positions[index] = lengths
        self._visible[index, :, :width] = torch.arange(width, device=self._device) < lengths[:, None, None]
        size = max(1, PROMPT_TOKENS // width)
        for rows in (slice(start, start + size) for start in range(0, len(prompts), size)):
            cache = self.model.new_cache(len(ids[rows]), width)
            self.model.decode(  # padding comes last, and is seen by nobody
                ids[rows],
                None if memory is None else memory[rows],
                None if memory_mask is None else memory_mask[rows],
                cache=cache,
            )
            for kept, read in zip(self.caches, cache.layers, strict=True):
                kept.keys[index[rows], :, :width] = read.keys
                kept.values[index[rows], :, :width] = read.values

    def release(self, slot: int) -> None:
        """The text in a slot is complete."""
        self.positions[slot] = 0
        self._busy[slot] = self._visible[slot] = self._memory_mask[slot] = False
        self._measure()

    def _measure(self) -> None:
        self._longest = int(self._memory_mask.any(0).sum())

    def read(self, ids: Tensor) -> Tensor:
        """Read the next token of every beam, or, where there is one beam, tokens in a row.

        Args:
            ids: (N, K). Of a row the first token stays, and of the others what :meth:`accept` says.

        Returns:
            Logits (N, K, V).
        """
        width = ids.shape[1]
        if self._columns + width > self._visible.shape[-1]:
            self._make_room(width)
        start, end = self._columns, self._columns + width
        if width > self.num_beams:
            positions, own = self._in_a_row(width)
        else:
            positions, own = self.positions[:, None].expand(ids.shape), self._itself
        before = self._visible.expand(-1, width, -1)
        self._key_positions[:, start:end] = positions
        if self._compiled is None:
            hidden = self.model.step(
                ids,
                positions=positions,
                key_positions=self._key_positions[:, :end],
                visible=torch.cat([before[:, :, :start], own.expand(len(ids), -1, -1)], dim=2),
                memory_mask=self._memory_mask[:, : self._longest] if self._longest else None,
                caches=self._narrowed(start),
            )
            logits = self._logits(hidden)
        else:
            states, added = self._compiled.read(
                ids,
                positions=positions,
                key_positions=self._key_positions,
                before=before,
                own=own,
                memory_mask=self._memory_mask,
                caches=self.caches,
            )
            places = [both[:, :, :, start:end] for both in self._stored]
            parts = torch.split(added, [place.numel() for place in places])
            for place, new in zip(places, parts, strict=True):
                place.copy_(new.view_as(place))
            logits = states if self._compiled.gives_logits else self._logits(states)
        self._columns = end
        self.positions += self._busy
        # An empty slot sees itself only while it is read: else it would have more to see with every step.
        self._visible[:, :, start:end] = own[: self.num_beams] & self._busy[:, None, None]
        return logits

    def _in_a_row(self, width: int) -> tuple[Tensor, Tensor]:
        """Positions (N, K) of K tokens in a row, and what each of them sees (K, K) of them: itself and those before."""
        positions = self.positions[:, None] + torch.arange(width, device=self._device)
        limit = self.model.decoder.max_positions if self.model.decoder is not None else None
        # What is behind them is padding, of a slot that reads fewer tokens than others.
        positions = positions if limit is None else positions.clamp(max=limit - 1)
        return positions, torch.ones(width, width, dtype=torch.bool, device=self._device).tril()

    def accept(self, kept: Tensor) -> None:
        """Keep of the K tokens that were just read in a row the first one, and those behind it that are ``kept``.

        Args:
            kept: (N, K - 1) boolean.

        The columns at the end that no slot keeps are free again.
        """
        width = kept.shape[1]
        start = self._columns - width
        self._visible[:, 0, start : self._columns] = kept
        self.positions += kept.sum(1)
        self._columns = start + int(kept.any(0).sum())

    def _logits(self, hidden: Tensor) -> Tensor:
        source = None if self._source is None else self._source.map(lambda part: part[:, : self._longest])
        return self.model.logits(hidden, self.model.copies(hidden, source), listed=True)

    def follow(self, parents: Tensor) -> None:
        """Beam k of each slot goes on from beam ``parents[n, k]``: parents (N, K)."""
        columns = self._visible[:, :, : self._columns]
        index = parents[:, :, None].expand(-1, -1, self._columns)
        self._visible[:, :, : self._columns] = columns.gather(1, index)

    def keep(self, slots: Sequence[int]) -> None:
        """Leave all other slots, which are empty, out from now on; the numbers of the kept ones change to 0, 1, …"""
        index = torch.tensor(list(slots), device=self._device)
        self.positions, self._busy = self.positions[index], self._busy[index]
        self._visible = self._visible[index]
        self._key_positions = self._key_positions[index]
        self._memory_mask = self._memory_mask[index]
        self._source = None if self._source is None else self._source.map(lambda part: part[index])
        for layer, cache in enumerate(self.caches):
            self._replace(layer, self._stored[layer][:, index])
            if cache.memory is not None:
                cache.memory = (cache.memory[0][index], cache.memory[1][index])
        self._measure()

    def _replace(self, layer: int, both: Tensor) -> None:
        """Put other keys and values (2, N, G, columns, K) in the place of a layer's."""
        self._stored[layer] = both
        self.caches[layer].keys, self.caches[layer].values = both

    def _narrowed(self, length: int) -> list[LayerCache]:
        """The caches of ``length`` columns, with the encoder's output up to its longest text only."""
        for cache in self.caches:
            cache.length = length
        if all(cache.memory is None or cache.memory[0].shape[2] == self._longest for cache in self.caches):
            return self.caches
        narrowed = []
        for cache in self.caches:
            view = LayerCache(cache.keys, cache.values)
            view.length = cache.length
            if cache.memory is not None:
                view.memory = (cache.memory[0][:, :, : self._longest], cache.memory[1][:, :, : self._longest])
            narrowed.append(view)
        return narrowed

    def _make_room(self, width: int) -> None:
        """Drop the columns that nobody sees, and leave room for what comes."""
        prompts = int(self._visible[:, 0, : self._prompt_columns].any(0).sum())
        seen = int(self._visible[:, :, self._prompt_columns : self._columns].any(1).sum(1).max())
        self._compact(prompts, room_for(prompts + seen, width))

    def _compact(self, prompts: int, room: int) -> None:
        """Leave ``prompts`` columns for prompts, and behind them those that a slot's beams see, in their order."""
        begin, end = self._prompt_columns, self._columns
        seen = self._visible[:, :, begin:end].any(1)
        number = int(seen.sum(1).max())
        order = begin + seen.logical_not().to(torch.int8).argsort(dim=1, stable=True)[:, :number]
        kept = min(prompts, begin)

        def moved(tensor: Tensor, dim: int) -> Tensor:
            """The columns, dimension ``dim`` counted from the first one behind the slots, in their new places."""
            times = tensor.shape[:dim].numel() // len(order)
            each = torch.arange(len(order) * times, device=self._device)[:, None] * tensor.shape[dim]
            rows = each + order.repeat_interleave(times, 0)
            found = tensor.flatten(0, dim).index_select(0, rows.flatten())
            if room != tensor.shape[dim]:
                before, tensor = tensor, tensor.new_zeros((*tensor.shape[:dim], room, *tensor.shape[dim + 1 :]))
                tensor.narrow(dim, 0, kept).copy_(before.narrow(dim, 0, kept))
            place = tensor.narrow(dim, prompts, number)
            place.copy_(found.view_as(place))
            return tensor

        self._visible, self._key_positions = moved(self._visible, 2), moved(self._key_positions, 1)
        self._visible[:, :, prompts + number :] = False
        order = order.repeat(2, 1)
        for layer, both in enumerate(self._stored):
            self._replace(layer, moved(both.flatten(0, 1), 2).view(*both.shape[:3], room, both.shape[4]))
        self._prompt_columns, self._columns = prompts, prompts + number

    def _widen_memory(self, width: int) -> None:
        """Make room for source texts of ``width`` tokens."""
        assert self.model.decoder is not None
        before = self._memory_mask.shape[1]
        if width <= before:
            return
        self._memory_mask = torch.nn.functional.pad(self._memory_mask, (0, width - before))
        shapes = self.model.decoder.memory_shapes
        for cache, shape in zip(self.caches, shapes, strict=True):
            if shape is None:
                continue
            heads, head_dim = shape
            wider = torch.zeros(2, self.num_slots, heads, width, head_dim, dtype=self._dtype, device=self._device)
            if cache.memory is not None:
                wider[:, :, :, :before] = torch.stack(cache.memory)
            cache.memory = (wider[0], wider[1])

    def _with_room(self, source: CopySource) -> CopySource:
        """What may be copied so far, as wide as the memory is now; at first nothing, of the form of ``source``."""
        kept = self._source or source.map(lambda part: part.new_zeros(self.num_slots, 0, *part.shape[2:]))
        missing = self._memory_mask.shape[1] - kept.ids.shape[1]
        return kept.map(lambda part: F.pad(part, (*(0, 0) * (part.dim() - 2), 0, missing))) if missing else kept
