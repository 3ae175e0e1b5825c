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
from heedful.nn.int8 import Int8Linear

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


def test_integers_are_left_to_others() -> None:
    network = Network()
    network.first = Int8Linear.of(network.first)  # type: ignore[assignment]
    with pytest.raises(UnsupportedError, match="8-bit integers; PyTorch and OpenVINO do"):
        Inductor(network, EXAMPLES, fingerprint=None)


def test_without_a_compiler_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotInstalledError, match=r"takes a C\+\+ compiler[^\n]*\n[^\n]*apt install g\+\+"):
        Inductor(Network(), EXAMPLES, fingerprint=None)
