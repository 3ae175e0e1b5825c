"""Disentangled attention equals its formula written out with loops; distances fall into the paper's buckets."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from heedful.nn import AttentionKernel, AttentionMask, DisentangledAttention, RelativeEmbeddings, self_attention_mask

D_MODEL, NUM_HEADS, HEAD_DIM, LENGTH, BATCH = 6, 2, 4, 7, 3
PADDING = {
    "none": None,
    "right": torch.arange(LENGTH) < torch.tensor([LENGTH, 4, 1])[:, None],
    "left": torch.arange(LENGTH) >= torch.tensor([0, 3, 6])[:, None],
    "one text without tokens": torch.arange(LENGTH) < torch.tensor([LENGTH, 0, 3])[:, None],
}
POSITIONS = {
    "a vector a distance": {"max_distance": 5},
    "buckets": {"max_distance": 7, "num_buckets": 4},
    "normed": {"max_distance": 5, "norm": nn.LayerNorm(D_MODEL)},
}


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(BATCH, LENGTH, D_MODEL, dtype=torch.float64)


def attention(content_to_position: bool, position_to_content: bool, *, shared: bool = False) -> DisentangledAttention:
    torch.manual_seed(1)
    module = DisentangledAttention(
        D_MODEL,
        NUM_HEADS,
        head_dim=HEAD_DIM,
        content_to_position=content_to_position,
        position_to_content=position_to_content,
        shared_projections=shared,
        kernel=AttentionKernel(scale=0.3),
    )
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module.double()


def written_out(
    module: DisentangledAttention, x: Tensor, embeddings: RelativeEmbeddings, mask: Tensor | None
) -> Tensor:
    """He et al. 2021, equation 4, pair by pair."""
    vectors = embeddings.norm(embeddings.table.weight)
    mixed = torch.zeros(BATCH, LENGTH, NUM_HEADS, HEAD_DIM, dtype=x.dtype)
    for text, head in itertools.product(range(BATCH), range(NUM_HEADS)):
        columns = slice(head * HEAD_DIM, (head + 1) * HEAD_DIM)
        query, keys, values = (part(x[text])[:, columns] for part in (module.query, module.key, module.value))
        key_vectors = (module.position_key or module.key)(vectors)[:, columns]
        query_vectors = (module.position_query or module.query)(vectors)[:, columns]
        seen = [key for key in range(LENGTH) if mask is None or mask[text, key]]
        for token in range(LENGTH if seen else 0):
            scores = []
            for key in seen:
                bucket = int(embeddings.buckets(torch.tensor(token - key)))
                place = min(max(bucket + embeddings.span, 0), 2 * embeddings.span - 1)
                score = query[token] @ keys[key]
                if module.content_to_position:
                    score = score + query[token] @ key_vectors[place]
                if module.position_to_content:
                    score = score + keys[key] @ query_vectors[place]
                scores.append(0.3 * score)
            mixed[text, token, head] = torch.stack(scores).softmax(0) @ values[seen]
    output: Tensor = module.output(mixed.flatten(2))
    return output


@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("shared", [False, True], ids=["own projections", "shared projections"])
@pytest.mark.parametrize(("to_position", "to_content"), [(True, True), (True, False), (False, True), (False, False)])
def test_scores_are_those_of_the_formula(
    x: Tensor, to_position: bool, to_content: bool, shared: bool, positions: str, padding: str
) -> None:
    module = attention(to_position, to_content, shared=shared)
    own = {name.partition(".")[0] for name in module.state_dict()} - {"query", "key", "value", "output"}
    expected_own = {name for name, there in (("position_key", to_position), ("position_query", to_content)) if there}
    assert own == (set() if shared else expected_own)
    embeddings = RelativeEmbeddings(D_MODEL, **POSITIONS[positions]).double()  # type: ignore[arg-type]
    mask = PADDING[padding]
    actual = module(
        x,
        self_attention_mask(LENGTH, LENGTH, mask=mask),
        positions=embeddings(torch.arange(LENGTH), x.dtype),
    )
    assert (actual - written_out(module, x, embeddings, mask)).abs().max() < 1e-13  # measured: 4e-15


def test_texts_without_tokens_have_finite_gradients(x: Tensor) -> None:
    module, embeddings = attention(True, True), RelativeEmbeddings(D_MODEL, max_distance=5).double()
    mask = self_attention_mask(LENGTH, LENGTH, mask=torch.zeros(BATCH, LENGTH, dtype=torch.bool))
    output = module(x.requires_grad_(), mask, positions=embeddings(torch.arange(LENGTH), x.dtype))
    gradients = torch.autograd.grad(output.sum(), [x, embeddings.table.weight], allow_unused=True)
    assert all(gradient is None or gradient.isfinite().all() for gradient in gradients)


def test_gradients_equal_finite_differences() -> None:
    module, embeddings = attention(True, True), RelativeEmbeddings(D_MODEL, max_distance=3).double()
    x = torch.randn(1, 3, D_MODEL, dtype=torch.float64, requires_grad=True)

    def run(x: Tensor, _: Tensor) -> Tensor:
        output: Tensor = module(x, AttentionMask(), positions=embeddings(torch.arange(3), x.dtype))
        return output

    assert torch.autograd.gradcheck(run, (x, embeddings.table.weight))


@settings(deadline=None)
@given(st.integers(4, 300), st.integers(0, 600))
def test_near_distances_are_exact_and_far_ones_logarithmic(num_buckets: int, beyond: int) -> None:
    half = num_buckets // 2
    max_distance = num_buckets + beyond
    module = RelativeEmbeddings(1, max_distance=max_distance, num_buckets=num_buckets)
    distances = torch.arange(-2 * max_distance, 2 * max_distance + 1)
    buckets = module.buckets(distances)
    near = distances.abs() <= half
    assert torch.equal(buckets[near], distances[near])
    assert torch.equal(buckets, -buckets.flip(0))
    assert (buckets.diff() >= 0).all()
    # He et al. 2021, appendix: half + ⌈log(d / half) / log((longest - 1) / half) · (half - 1)⌉
    far = distances[distances > half].double()
    exact = half + (far / half).log() / math.log((max_distance - 1) / half) * (half - 1)
    excess = buckets[distances > half] - exact
    assert excess.min() > -1e-3 and excess.max() < 1 + 1e-3


def test_what_is_farther_than_the_table_shares_its_last_vectors() -> None:
    vectors, between = RelativeEmbeddings(2, max_distance=2)(torch.arange(6), torch.float32)
    assert vectors.shape == (4, 2)
    assert between[0].tolist() == [2, 1, 0, 0, 0, 0]
    assert between[:, 0].tolist() == [2, 3, 3, 3, 3, 3]
