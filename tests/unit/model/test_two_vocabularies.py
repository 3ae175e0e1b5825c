"""An encoder and a decoder with a vocabulary each."""

from __future__ import annotations

import pytest
import torch

from heedful.errors import RequestError, SpecError
from heedful.generation import GenerationSettings, generate
from heedful.model import PointerSpec, Transformer, TransformerSpec, UniformSpec, build

READ, WRITTEN = 17, 29
UNIFORM = UniformSpec(d_model=16, num_layers=1, num_heads=2, dropout=0.0)


@pytest.fixture
def model() -> Transformer:
    return build(UNIFORM.encoder_decoder(READ, target_vocabulary_size=WRITTEN), seed=1).double().eval()


def states(model: Transformer, ids: torch.Tensor) -> torch.Tensor:
    return model.decode(ids, model.encode(torch.tensor([[READ - 1, 3, 5]])))


def test_each_stack_reads_tokens_of_its_own(model: Transformer) -> None:
    logits = model.logits(states(model, torch.tensor([[WRITTEN - 1, 2]])))
    assert logits.shape == (1, 2, WRITTEN)
    with pytest.raises(RequestError, match="the vocabulary ends at 16"):
        model.encode(torch.tensor([[READ]]))
    with pytest.raises(RequestError, match="the vocabulary ends at 28"):
        states(model, torch.tensor([[WRITTEN]]))


def test_the_output_is_tied_to_what_is_written(model: Transformer) -> None:
    hidden = states(model, torch.tensor([[4, 2]]))
    assert torch.equal(model.logits(hidden), hidden @ model.written_embedding.weight.T)
    model.logits(hidden).sum().backward()  # type: ignore[no-untyped-call]
    assert model.token_embedding.weight.grad is not None
    assert set(model.token_embedding.weight.grad.any(dim=1).nonzero().flatten().tolist()) == {READ - 1, 3, 5}
    assert model.written_embedding.weight.grad is not None
    assert model.written_embedding.weight.grad.any(dim=1).all()


def test_search_writes_tokens_of_the_target(model: Transformer) -> None:
    """The likeliest next token of each step, some of them beyond the vocabulary of the source."""
    settings = GenerationSettings(max_new_tokens=12, decoder_start_token_id=0, eos_token_id=(1,))
    (found,) = generate(model, torch.tensor([[3, 5, 7]]), settings=settings)
    tokens = [0]
    with torch.no_grad():
        memory = model.encode(torch.tensor([[3, 5, 7]]))
        for _ in range(12):
            tokens.append(int(model.logits(model.decode(torch.tensor([tokens]), memory))[0, -1].argmax()))
            if tokens[-1] == 1:
                break
    assert list(found[0].tokens) == tokens[1:]


def test_a_spec_goes_through_json_and_one_vocabulary_stays_one() -> None:
    spec = UNIFORM.encoder_decoder(READ, target_vocabulary_size=WRITTEN)
    assert TransformerSpec.model_validate_json(spec.model_dump_json()) == spec
    assert (spec.written_size, UNIFORM.encoder_decoder(READ).written_size) == (WRITTEN, READ)
    one = build(UNIFORM.encoder_decoder(READ))
    assert one.written_embedding is one.token_embedding
    assert "target_embedding.weight" not in one.state_dict()


def test_what_two_vocabularies_need() -> None:
    whole = UNIFORM.encoder_decoder(READ, target_vocabulary_size=WRITTEN).model_dump()
    with pytest.raises(ValueError, match="two vocabularies need an encoder and a decoder"):
        TransformerSpec.model_validate(UNIFORM.encoder(READ).model_dump() | {"target_vocabulary_size": WRITTEN})
    with pytest.raises(ValueError, match="what is copied has to stand in the vocabulary of the target"):
        TransformerSpec.model_validate({**whole, "pointer": {}})
    with pytest.raises(SpecError, match="what is copied"):
        UNIFORM.model_copy(update={"pointer": PointerSpec()}).encoder_decoder(READ, target_vocabulary_size=WRITTEN)
