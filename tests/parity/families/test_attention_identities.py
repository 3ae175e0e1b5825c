"""What is seen of attentions, over every family: upstream's weights, parts of the output, shares that sum to 1.

B texts, T queries, S keys, H heads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import torch
from tests.parity.families.cases import CASES
from tests.parity.families.harness import Case, Loaded, hidden_states, load, texts
from tests.parity.families.reference import run
from torch import Tensor, nn

from heedful.explanation.alti import Mixture, block_shares, mix, recorded
from heedful.explanation.attention import KINDS, attentions_of, looks_at
from heedful.explanation.heads import gated
from heedful.nn.attention import Attention

WEIGHTS = 2e-14  # measured: 2.2e-15
PARTS = 1e-14  # relative to the largest output; measured: 8e-16
SHARES = 2e-15  # measured: 2.2e-16
NAMES = {"encoder": "encoder_attentions", "decoder": "decoder_attentions", "cross": "cross_attentions"}


class Subject:
    """A loaded case, and texts for it of several lengths, so that a batch of them is padded."""

    def __init__(self, case: Case, loaded: Loaded) -> None:
        self.loaded, self.model = loaded, loaded.model
        size = loaded.pretrained.spec.vocabulary_size
        self.rows, self.targets = texts(case, size), texts(case, size, (4, 1, 7), seed=2)
        self.kinds = [kind for kind in KINDS if attentions_of(self.model, kind)]

    def states(self) -> list[Tensor]:
        return hidden_states(self.model, self.rows, self.targets, left=False)

    def lengths(self, kind: str) -> tuple[list[int], list[int]]:
        """Real queries and keys of each text."""
        read = [row.shape[1] for row in self.rows]
        written = read if self.model.encoder is None else [target.shape[1] for target in self.targets]
        return (read if kind == "encoder" else written), (written if kind == "decoder" else read)

    @property
    def attentions(self) -> list[Attention]:
        return list(dict.fromkeys(part for kind in self.kinds for part in attentions_of(self.model, kind).values()))


@pytest.fixture(scope="module", params=CASES, ids=str)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    case: Case = request.param
    return Subject(case, load(case, case.family.architecture, tmp_path_factory.mktemp("case")))


def test_weights_are_the_references(subject: Subject) -> None:
    both = subject.loaded.reference.config.is_encoder_decoder
    seen = {kind: [look.weights() for look in looks_at(subject.model, kind, subject.states)] for kind in subject.kinds}
    for number, (row, target) in enumerate(zip(subject.rows, subject.targets, strict=True)):
        extra = {"decoder_input_ids": target} if both else {}
        expected = run(subject.loaded.reference, input_ids=row, output_attentions=True, **extra)
        for kind, layers in seen.items():
            wanted = expected[NAMES[kind] if both else "attentions"]
            assert len(layers) == len(wanted)
            queries, keys = (lengths[number] for lengths in subject.lengths(kind))
            for layer, weights in zip(layers, wanted, strict=True):
                ours = layer[number : number + 1, :, :queries]
                torch.testing.assert_close(ours[..., :keys], weights, atol=WEIGHTS, rtol=0)
                assert not ours[..., keys:].any(), "padding is not looked at"


@torch.no_grad()
def test_value_weighted_parts_and_the_bias_are_the_output(subject: Subject) -> None:
    for kind in subject.kinds:
        outputs: list[Tensor] = []

        def keep(_: nn.Module, __: object, output: Tensor, *, kept: list[Tensor] = outputs) -> None:
            kept.append(output)

        with ExitStack() as hooks:
            for attention in set(attentions_of(subject.model, kind).values()):
                hooks.callback(attention.register_forward_hook(keep).remove)
            looks = looks_at(subject.model, kind, subject.states)
        assert len(looks) == len(outputs) > 0
        for look, output in zip(looks, outputs, strict=True):
            parts = torch.einsum("bhts,bhsd->btd", look.weights(), look.vectors())
            bias = look.attention.output.bias
            total = parts if bias is None else parts + bias
            scale = float(output.abs().max())
            torch.testing.assert_close(total, output, atol=PARTS * scale, rtol=0)
            assert torch.equal(look.output(), output)
            heads = [look.attention.num_heads - 1, 0]
            torch.testing.assert_close(look.weights(heads), look.weights()[:, heads], atol=WEIGHTS, rtol=0)
            torch.testing.assert_close(look.vectors(heads), look.vectors()[:, heads], atol=PARTS * scale, rtol=1e-13)


def test_watching_changes_no_bit(subject: Subject) -> None:
    before = subject.states()
    seen: list[list[Tensor]] = []
    with ExitStack() as stack:
        for part in (subject.model.encoder, subject.model.decoder):
            if part is not None:
                stack.enter_context(recorded(part))
        for kind in subject.kinds:
            assert looks_at(subject.model, kind, lambda: seen.append(subject.states()))
    for states in (*seen, subject.states()):
        assert all(torch.equal(one, other) for one, other in zip(before, states, strict=True))
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in subject.model.modules())


@torch.no_grad()
def mixture_of(subject: Subject) -> Mixture:
    """Of what is read in the states of the last stack; each block's shares are checked on the way."""
    stacks = [part for part in (subject.model.encoder, subject.model.decoder) if part is not None]
    with ExitStack() as stack:
        runs = [stack.enter_context(recorded(part)) for part in stacks]
        subject.states()
        for layer in (layer for part in runs for layer in part):
            blocks = list(block_shares(layer))
            assert len(blocks) == (1 if layer.layer.parallel else len(layer.looks)) > 0
            for own, across in blocks:
                check_shares(whole(Mixture(own, across)))
        mixture = mix(runs[0])
        return mixture if len(runs) == 1 else mix(runs[1], mixture.read)


def whole(mixture: Mixture) -> Tensor:
    return mixture.read if mixture.memory is None else torch.cat([mixture.memory, mixture.read], -1)


def check_shares(shares: Tensor) -> None:
    assert bool((shares >= 0).all())
    torch.testing.assert_close(shares.sum(-1), torch.ones_like(shares[..., 0]), atol=SHARES, rtol=0)


def test_shares_sum_to_one(subject: Subject) -> None:
    found = mixture_of(subject)
    check_shares(whole(found))
    last = "encoder" if subject.model.decoder is None else "decoder"
    for number, length in enumerate(subject.lengths(last)[0]):
        assert not found.read[number, :length, length:].any(), "nothing of padding"
    if last == "decoder":
        assert not found.read.triu(1).any(), "nothing of what comes later"
    assert (found.memory is None) == ("cross" not in subject.kinds)
    if found.memory is not None:
        assert float(found.memory.sum(-1).min()) > 0


def test_other_weights_give_another_picture(subject: Subject) -> None:
    """The control: what is shown is of this model (Adebayo et al. 2018)."""
    kept = {name: tensor.clone() for name, tensor in subject.model.state_dict().items()}
    chance = torch.Generator().manual_seed(7)
    pictures = []
    for _ in range(2):
        weights = [look.weights() for kind in subject.kinds for look in looks_at(subject.model, kind, subject.states)]
        pictures.append((torch.cat([layer.flatten() for layer in weights]), whole(mixture_of(subject))))
        for parameter in subject.model.parameters():
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=chance, dtype=parameter.dtype)
    subject.model.load_state_dict(kept)
    for one, other in zip(*pictures, strict=True):
        assert float((one - other).abs().max()) > 0.1


@torch.no_grad()
def test_a_closed_gate_is_a_zeroed_slice(subject: Subject) -> None:
    """Of the output map, and of the values with their bias where no other head reads them."""
    before = subject.states()
    for attention in subject.attentions:
        groups = attention.num_heads // attention.num_kv_heads
        width, last = attention.head_dim, attention.num_kv_heads - 1
        heads = range(last * groups, attention.num_heads)  # those that read the last head of keys and values
        gates = torch.ones(attention.num_heads, dtype=torch.float64)
        gates[list(heads)] = 0
        with gated(attention, gates):
            closed = subject.states()
        values = [
            part.data[last * width :] for part in (attention.value.weight, attention.value.bias) if part is not None
        ]
        for slices in ([attention.output.weight.data[:, heads.start * width :]], values):
            with zeroed(slices):
                assert equal(subject.states(), closed)
        if attention.num_heads > groups or attention.output.bias is None:
            assert not equal(closed, before)
    assert equal(subject.states(), before), "the gates are open again"


@contextmanager
def zeroed(slices: list[Tensor]) -> Iterator[None]:
    kept = [tensor.clone() for tensor in slices]
    for tensor in slices:
        tensor.zero_()
    yield
    for tensor, was in zip(slices, kept, strict=True):
        tensor.copy_(was)


def equal(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
