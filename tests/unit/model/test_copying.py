"""A Transformer that copies: its spec, what it asks for, and that it learns to copy what it has never written."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from heedful.errors import RequestError, SpecError
from heedful.generation import GenerationSettings, generate
from heedful.model import PointerSpec, Transformer, UniformSpec, build, parse_spec

V, START, END = 40, 1, 2
TINY = UniformSpec(d_model=16, num_layers=1, num_heads=2, d_ff=24, pointer=PointerSpec(head_dim=6))
PLAIN = TINY.model_copy(update={"pointer": None})


def model() -> Transformer:
    return build(TINY.encoder_decoder(V), seed=0).double().eval()


def written(model: Transformer, ids: Tensor, mask: Tensor, target: Tensor) -> Tensor:
    """Log-probabilities (B, T, V) of what may follow each token of the targets (B, T)."""
    memory = model.encode(ids, mask)
    hidden = model.decode(target, memory, mask)
    return model.logits(hidden, model.copies(hidden, model.copy_source(ids, memory, mask)))


def test_the_spec_round_trips_and_says_the_width() -> None:
    spec = TINY.encoder_decoder(V)
    assert parse_spec(spec.model_dump(mode="json")) == spec
    pointer = build(spec, seed=0).pointer
    assert pointer is not None
    assert pointer.query.weight.shape == pointer.key.weight.shape == (6, 16)
    wide = build(UniformSpec(d_model=16, num_layers=1, num_heads=2, pointer=PointerSpec()).encoder_decoder(V)).pointer
    assert wide is not None
    assert wide.query.out_features == 16
    assert build(PLAIN.encoder_decoder(V)).pointer is None


@pytest.mark.parametrize("form", ["encoder", "decoder"])
def test_a_pointer_needs_a_source_and_somebody_who_writes(form: str) -> None:
    with pytest.raises(SpecError, match="pointer: copying needs an encoder that reads"):
        getattr(TINY, form)(V)


def test_what_it_writes_is_a_distribution() -> None:
    ids, mask = torch.tensor([[3, 4, 3, 5], [6, 7, 0, 0]]), torch.tensor([[True] * 4, [True, True, False, False]])
    mixed = written(model(), ids, mask, torch.tensor([[START, 4, 5], [START, 6, 7]]))
    assert float((mixed.detach().exp().sum(-1) - 1).abs().max()) <= 1e-13  # measured: 4e-16


def test_it_is_told_what_is_missing() -> None:
    copying, plain = model(), build(PLAIN.encoder_decoder(V), seed=0).double()
    ids = torch.tensor([[3, 4]])
    hidden = copying.decode(ids, copying.encode(ids))
    with pytest.raises(RequestError, match=r"none is given\n.*copy_source"):
        copying.copies(hidden, None)
    with pytest.raises(RequestError, match="copies tokens of the source"):
        copying.logits(hidden)
    copies = copying.copies(hidden, copying.copy_source(ids, copying.encode(ids)))
    with pytest.raises(RequestError, match="copies nothing"):
        plain.logits(hidden, copies)
    assert plain.copy_source(ids, hidden) is None
    assert plain.copies(hidden, None) is None


@pytest.mark.parametrize("num_beams", [1, 4])
def test_search_reads_the_mixture(num_beams: int) -> None:
    """Whoever is written beside it, in whichever slot: probabilities and tokens are those of the text alone."""
    copying, generator = model(), torch.Generator().manual_seed(0)
    settings = GenerationSettings(
        num_beams=num_beams, max_new_tokens=7, decoder_start_token_id=START, eos_token_id=(END,)
    )
    lengths = [2, 9, 1, 5, 5, 12, 3]
    ids = torch.zeros(len(lengths), max(lengths), dtype=torch.int64)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    ids[mask] = torch.randint(3, V, (sum(lengths),), generator=generator)
    answers = generate(copying, ids, mask, settings, num_slots=3)
    for number, (answer,) in enumerate(answers):
        row = slice(number, number + 1)
        source = ids[row, : lengths[number]]
        ((alone,),) = generate(copying, source, settings=settings)
        assert alone.tokens == answer.tokens
        with torch.no_grad():
            target = torch.tensor([[START, *answer.tokens[:-1]]])
            logs = written(copying, source, torch.ones_like(source, dtype=torch.bool), target)[0]
        expected = [float(logs[place, token]) for place, token in enumerate(answer.tokens)]
        assert answer.log_probabilities == pytest.approx(expected, abs=1e-12)  # measured: 2e-15
        assert alone.log_probabilities == pytest.approx(expected, abs=1e-12)


def test_it_copies_words_that_it_never_learnt() -> None:
    """Trained to repeat one half of the vocabulary, it repeats the other half; without a pointer it cannot."""
    right = {}
    for name, uniform in (("copying", TINY), ("plain", PLAIN)):
        network = build(uniform.encoder_decoder(V), seed=0)
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        generator = torch.Generator().manual_seed(0)
        for _ in range(100):
            loss = repeat_loss(network, torch.randint(3, V // 2, (32, 1), generator=generator))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        unseen = torch.arange(V // 2, V)[:, None]
        settings = GenerationSettings(max_new_tokens=3, decoder_start_token_id=START, eos_token_id=(END,))
        answers = generate(network.eval(), unseen, settings=settings)
        repeated = zip(answers, unseen.tolist(), strict=True)
        right[name] = sum(hypothesis.tokens == (*row, END) for (hypothesis,), row in repeated)
    assert right["copying"] >= 0.9 * (V // 2)
    assert right["plain"] == 0


def repeat_loss(network: Transformer, ids: Tensor) -> Tensor:
    mask = torch.ones_like(ids, dtype=torch.bool)
    start, end = (torch.full((len(ids), 1), token) for token in (START, END))
    logits = written(network, ids, mask, torch.cat([start, ids], 1))
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.cat([ids, end], 1).flatten())
