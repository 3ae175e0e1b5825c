"""One layer for encoders and decoders: slots, each inside a residual connection."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from heedful.nn.attention import CrossAttention, SelfAttention
from heedful.nn.cache import LayerCache
from heedful.nn.dropout import Dropout
from heedful.nn.feedforward import FeedForward
from heedful.nn.masks import AttentionMask
from heedful.nn.positions import RelativeVectors
from heedful.nn.rotary import Rotation

# Where the norms of a residual connection stand: before the slot, after it, on the sum.
NORM_PLACEMENTS: dict[str, frozenset[str]] = {
    "pre": frozenset({"before"}),
    "post": frozenset({"sum"}),
    "sandwich": frozenset({"before", "after"}),
    "none": frozenset(),
}


class Residual(nn.Module):
    """norm_sum(x + dropout(norm_after(slot(norm_before(x))))), each norm the identity where it is not placed.

    ``pre`` and ``post`` as in Xiong et al. 2020; ``sandwich`` as in Ding et al. 2021, §2.4.
    """

    def __init__(self, norm: Callable[[], nn.Module], *, norm_placement: str, dropout: float = 0.0) -> None:
        super().__init__()
        places = NORM_PLACEMENTS[norm_placement]
        self.norm_before = norm() if "before" in places else nn.Identity()
        self.norm_after = norm() if "after" in places else nn.Identity()
        self.dropout = Dropout(dropout)
        self.norm_sum = norm() if "sum" in places else nn.Identity()

    def branch(self, x: Tensor, slot: Callable[[Tensor], Tensor]) -> Tensor:
        """What the slot adds to ``x``: (B, T, D) -> (B, T, D)."""
        added: Tensor = self.dropout(self.norm_after(slot(self.norm_before(x))))
        return added

    def forward(self, x: Tensor, slot: Callable[[Tensor], Tensor]) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        output: Tensor = self.norm_sum(x + self.branch(x, slot))
        return output


class Layer(nn.Module):
    """Self-attention, cross-attention and feed-forward, in this order; an empty slot is the identity.

    With ``parallel`` all slots read the same input and their outputs are added at once (Wang and Komatsuzaki
    2021; GPT-J, GPT-NeoX): x + Σ slot(norm(x)).
    """

    def __init__(
        self,
        *,
        self_attention: SelfAttention | None = None,
        cross_attention: CrossAttention | None = None,
        feed_forward: FeedForward | None = None,
        residual: Callable[[str], Residual],
        window: int | None = None,
        parallel: bool = False,
    ) -> None:
        """``residual`` makes the connection around a slot of that name; ``window`` limits self-attention."""
        super().__init__()
        self.self_attention = self_attention
        self.self_attention_residual = residual("self_attention") if self_attention is not None else None
        self.cross_attention = cross_attention
        self.cross_attention_residual = residual("cross_attention") if cross_attention is not None else None
        self.feed_forward = feed_forward
        self.feed_forward_residual = residual("feed_forward") if feed_forward is not None else None
        self.window = window
        self.parallel = parallel

    def forward(
        self,
        x: Tensor,
        mask: AttentionMask,
        *,
        positions: Rotation | RelativeVectors | None = None,
        memory: Tensor | None = None,
        memory_mask: AttentionMask,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """(B, T, D) -> (B, T, D); ``memory`` (B, S, D) is what cross-attention looks at."""
        slots: list[tuple[Residual, Callable[[Tensor], Tensor]]] = []
        if self.self_attention is not None and self.self_attention_residual is not None:
            look = partial(self.self_attention, mask=mask, positions=positions, cache=cache)
            slots.append((self.self_attention_residual, look))
        if self.cross_attention is not None and self.cross_attention_residual is not None:
            look = partial(self.cross_attention, mask=memory_mask, memory=memory, cache=cache)
            slots.append((self.cross_attention_residual, look))
        if self.feed_forward is not None and self.feed_forward_residual is not None:
            slots.append((self.feed_forward_residual, self.feed_forward))
        output = x
        for residual, slot in slots:
            output = output + residual.branch(x, slot) if self.parallel else residual(output, slot)
        return output
