"""Training a model that copies: the loss is that of the mixture, piece by piece or as a whole."""

from __future__ import annotations

import pytest
import torch

from heedful.data import Example
from heedful.generation import GenerationSettings
from heedful.model import PointerSpec, UniformSpec, build
from heedful.tasks import Summarizer
from heedful.tasks.text_to_text import TextToTextCard, losses
from heedful.text import Tokenizer, TokenizerSettings

TOLERANCE = 1e-11  # of the largest gradient; measured: 3e-14
EXAMPLES = [
    Example("the card was swallowed by the card terminal", None, (), 1, target="the card was swallowed"),
    Example("rain and wind", None, (), 2, target="wind and a lot of rain"),
    Example("a transfer", None, (), 3, target="pending"),
]


@pytest.fixture(scope="module")
def summarizer() -> Summarizer:
    texts = [text for example in EXAMPLES for text in (example.text, example.target or "")]
    tokenizer = Tokenizer.train(texts, TokenizerSettings(kind="bpe", vocabulary_size=300))
    uniform = UniformSpec(d_model=8, num_layers=1, num_heads=2, d_ff=12, dropout=0.0, pointer=PointerSpec(head_dim=4))
    model = build(uniform.encoder_decoder(tokenizer.vocabulary_size), seed=0).double()
    generation = GenerationSettings(decoder_start_token_id=tokenizer.special.bos, eos_token_id=(tokenizer.special.eos,))
    card = TextToTextCard(job="summarization", max_length=64, max_target_length=64, generation=generation)
    return Summarizer(model, tokenizer, card)


def written_out(summarizer: Summarizer, smoothing: float) -> torch.Tensor:
    """Σ over targets of -Σ_w t_w log p(w), with p(w) = g softmax(logits)_w + (1 - g) Σ_{s: x_s = w} a_s."""
    model, batch = summarizer.model, summarizer.collate(EXAMPLES)
    pointer, size = model.pointer, model.spec.vocabulary_size
    assert pointer is not None
    memory = model.encode(batch.ids, batch.mask)
    hidden = model.decode(batch.decoder_ids, memory, batch.mask)
    total = hidden.new_zeros(())
    for row, real in enumerate(batch.mask):
        keys, tokens = pointer.key(memory[row, real]), torch.nn.functional.one_hot(batch.ids[row, real], size).double()
        for place, target in enumerate(batch.targets[row].tolist()):
            if target < 0:
                continue
            state = hidden[row, place]
            share = torch.sigmoid(pointer.gate(state))
            copied = torch.softmax(keys @ pointer.query(state) / 4**0.5, 0) @ tokens
            logs = (share * torch.softmax(state @ model.token_embedding.weight.T, 0) + (1 - share) * copied).log()
            total = total - (1 - smoothing) * logs[target] - smoothing * logs.mean()
    return total


@pytest.mark.parametrize("tokens", [1, 5, 1000])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_it_is_the_mixture_that_the_paper_writes(
    summarizer: Summarizer, smoothing: float, tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "MAX_LOGITS", tokens * summarizer.model.spec.vocabulary_size)
    summarizer.objective = summarizer.objective.model_copy(update={"label_smoothing": smoothing})
    parameters = list(summarizer.model.parameters())
    loss, expected = summarizer.loss(summarizer.collate(EXAMPLES)), written_out(summarizer, smoothing)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=TOLERANCE)
    ours, theirs = torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters)
    largest = max(float(gradient.abs().max()) for gradient in theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert float((one - other).abs().max()) <= TOLERANCE * largest


def test_the_loss_of_a_batch_is_that_of_its_examples(summarizer: Summarizer) -> None:
    together = float(summarizer.loss(summarizer.collate(EXAMPLES)).detach())
    alone = sum(float(summarizer.loss(summarizer.collate([example])).detach()) for example in EXAMPLES)
    assert together == pytest.approx(alone, rel=TOLERANCE)
