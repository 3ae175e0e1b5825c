"""A library that Inductor has made is read again, by whoever may, and gives the network's numbers or none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from heedful.errors import NotInstalledError, UnsupportedError
from heedful.inference import Inductor, Plan
from heedful.inference.inductor import FEW_ROWS, LOOPS
from heedful.nn.int8 import Int8Linear, Int8Weights

WIDTH = 8


class Network(nn.Module):
    """Reads rows of states, of which there may be any number."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Linear(WIDTH, 32)
        self.second = nn.Linear(32, 3)

    def forward(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.first(states).tanh() * mask[..., None]
        return self.second(hidden.sum(1)), hidden


def states(rows: int, tokens: int, width: int = WIDTH) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows * 100 + tokens)
    return torch.randn(rows, tokens, width, generator=generator), torch.rand(rows, tokens, generator=generator) > 0.3


EXAMPLES = [states(2, 5), states(1, 1), states(3, 40)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """With the library of one network."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEEDFUL_CACHE", str(folder))
        Inductor(Network(), EXAMPLES, fingerprint="it")
        yield folder


@pytest.fixture
def kept(cache: Path) -> Iterator[Path]:
    """The folder of the library, which may be harmed."""
    (folder,) = (cache / "inductor").iterdir()
    whole = cache / "whole"
    shutil.copytree(folder, whole)
    yield folder
    shutil.rmtree(folder)
    whole.rename(folder)


@pytest.fixture
def compiled(cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with each compilation, which gives the library of the first network to all."""
    made: list[str] = []
    (library,) = (cache / "inductor").glob("*/network.so")
    code = library.read_bytes()

    def make(_: Inductor, network: nn.Module, examples: Any, folder: Path) -> None:
        made.append(str(network))
        (folder / "network.so").write_bytes(code)

    monkeypatch.setattr(Inductor, "_make", make)
    return made


def check(engine: Inductor, network: nn.Module) -> None:
    for rows, tokens in ((7, 3), (1, 90), (1, 1)):
        inputs = states(rows, tokens)
        for found, expected in zip(engine.network(Plan(1, 1))(*inputs), network(*inputs), strict=True):
            assert torch.allclose(found, expected, atol=1e-5)


def test_a_library_is_read_again_and_computes_other_shapes(cache: Path, compiled: list[str]) -> None:
    assert cache.is_dir()
    check(Inductor(Network(), EXAMPLES, fingerprint="it"), Network())
    assert not compiled


def test_inputs_may_lie_in_memory_as_they_like(cache: Path, compiled: list[str]) -> None:
    assert cache.is_dir()
    compute = Inductor(Network(), EXAMPLES, fingerprint="it").network(Plan(1, 1))
    x, mask = torch.randn(WIDTH, 9, 4).permute(2, 1, 0), torch.ones(9, 4, dtype=torch.bool).T
    assert not x.is_contiguous()
    assert torch.allclose(compute(x, mask)[0], Network()(x, mask)[0], atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_share_it(cache: Path, compiled: list[str], threads: int) -> None:
    assert cache.is_dir()
    compute = Inductor(Network(), EXAMPLES, fingerprint="it").network(Plan(4, threads))
    batches = [states(1 + number % 7, 1 + number % 31) for number in range(300)]
    with ThreadPoolExecutor(4, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
        found = list(pool.map(lambda batch: compute(*batch)[0], batches))
    with torch.inference_mode():
        for one, batch in zip(found, batches, strict=True):
            assert torch.allclose(one, Network()(*batch)[0], atol=1e-5)


@pytest.mark.parametrize("harm", ["damaged", "open to others"])
def test_what_is_damaged_or_not_the_users_own_is_made_anew(kept: Path, compiled: list[str], harm: str) -> None:
    if harm == "damaged":
        library = kept / "network.so"
        code = library.read_bytes()
        library.unlink()  # what other tests compute by must stay as it is
        library.write_bytes(code[: len(code) // 2])
    else:
        kept.chmod(0o777)
    for _ in range(2):  # the second time it is whole again
        check(Inductor(Network(), EXAMPLES, fingerprint="it"), Network())
        assert len(compiled) == 1


def test_nothing_is_taken_for_another_network(kept: Path, compiled: list[str]) -> None:
    Inductor(Network(), EXAMPLES, fingerprint="another")  # that has the same numbers
    assert len(compiled) == 1
    Inductor(Network(), EXAMPLES[:2], fingerprint="it")  # that may be given less
    assert len(compiled) == 2
    for folder in kept.parent.iterdir():
        if folder != kept:
            shutil.rmtree(folder)


def test_other_numbers_are_refused(kept: Path, compiled: list[str]) -> None:
    with pytest.raises(UnsupportedError, match="Inductor gives other numbers than the network"):
        Inductor(Network(seed=1), EXAMPLES, fingerprint="it")
    assert len(compiled) == 1
    assert [folder.name for folder in kept.parent.iterdir()] == [kept.name]


def test_a_shape_that_no_example_has_is_refused(cache: Path, compiled: list[str]) -> None:
    assert cache.is_dir()
    compute = Inductor(Network(), EXAMPLES, fingerprint="it").network(Plan(1, 1))
    with pytest.raises(UnsupportedError, match=r"for \(None, None, 8\), not for \(2, 5, 9\)"):
        compute(*states(2, 5, width=9))


def test_what_cannot_be_followed_is_refused_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    class Branching(Network):
        def forward(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
            return super().forward(states if float(states.sum()) > 0 else -states, mask)

    with pytest.raises(UnsupportedError, match="Inductor cannot compute this network: "):
        Inductor(Branching(), EXAMPLES, fingerprint=None)
    assert "def forward" not in "".join(capfd.readouterr())


class Step(nn.Module):
    """Rows look at what texts have, by weights that are integers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(11, WIDTH)
        self.map = Int8Weights.of(nn.Linear(WIDTH, 19))

    def forward(self, ids: Tensor, keys: Tensor) -> Tensor:
        rows = self.table(ids)
        weights = (rows @ keys.transpose(-2, -1)).softmax(-1)
        logits: Tensor = self.map(rows + weights @ keys)
        return logits


def test_few_rows_have_a_form_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def batch(texts: int, beams: int, columns: int) -> tuple[Tensor, Tensor]:
        return torch.arange(texts * beams).view(texts, beams) % 11, states(texts, columns)[0]

    network = Step()
    engine = Inductor(network, [batch(2, 3, 5), batch(1, 1, 9), batch(3, 4, 2)], fingerprint=None, few_rows=True)
    used: list[str] = []

    def watched(name: str, run: Any) -> Any:
        def call(given: list[Tensor]) -> Any:
            used.append(name)
            return run(given)

        return call

    for name, run in {"few": engine._few, "many": engine._many}.items():
        monkeypatch.setattr(engine, f"_{name}", watched(name, run))
    compute = engine.network(Plan(1, 1))
    sizes = [(1, 1), (1, 4), (4, 1), (2, 2), (1, 5), (5, 1), (3, 2)]
    for texts, beams in sizes:
        inputs = batch(texts, beams, 7)
        with torch.inference_mode():
            assert torch.allclose(compute(*inputs), network(*inputs), atol=1e-5)
    assert used == ["few" if texts * beams <= FEW_ROWS else "many" for texts, beams in sizes]


def test_loops_are_the_products_that_they_stand_for() -> None:
    aten = torch.ops.aten
    x, weight, bias = (torch.randn(size, dtype=torch.float64) for size in ((2, 3, 5), (7, 5), (7,)))
    linear, matmul = LOOPS[aten.linear.default], LOOPS[aten.matmul.default]
    for given in ((x, weight, bias), (x, weight), (x[0].T.contiguous().T, weight, bias)):
        assert torch.allclose(linear(*given), aten.linear(*given), atol=1e-14)
    for y in (torch.randn(2, 5, 4, dtype=torch.float64), torch.randn(5, 1, dtype=torch.float64)):
        assert torch.allclose(matmul(x, y), x @ y, atol=1e-14)
    assert matmul(x, bias[:5]) is NotImplemented


def test_integers_are_left_to_others() -> None:
    network = Network()
    network.first = Int8Linear.of(network.first)  # type: ignore[assignment]
    with pytest.raises(UnsupportedError, match="8-bit integers; PyTorch and OpenVINO do"):
        Inductor(network, EXAMPLES, fingerprint=None)


def test_without_a_compiler_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotInstalledError, match=r"takes a C\+\+ compiler[^\n]*\n[^\n]*apt install g\+\+"):
        Inductor(Network(), EXAMPLES, fingerprint=None)
