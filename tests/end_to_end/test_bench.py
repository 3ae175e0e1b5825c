"""``heedful bench``, and the options that it recommends."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import heedful
from heedful.inference import INT8_FILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.end_to_end.conftest import Call

QUICK = ("--seconds", 0.2, "--threads", 1)


def test_each_way_is_measured_and_the_best_are_named(
    call: Call, run_copy: Path, rows: tuple[dict[str, str], ...], jsonl: Callable[..., Path]
) -> None:
    data = jsonl(rows, "texts.jsonl")
    heedful.quantize(heedful.load(run_copy), data, limit=20)
    answer = call("bench", run_copy, data, "--limit", 40, "--json", *QUICK)
    assert answer.exit_code == 0, answer.stderr
    told = json.loads(answer.stdout)
    assert (told["texts"], told["threads"], told["left_out"]) == (40, 1, [])
    ways = {(one["way"]["engine"], one["way"]["precision"]) for one in told["measured"]}
    precisions = (None, "int8", "int8-weights")
    integers_and_fractions = {(engine, precision) for engine in ("eager", "openvino") for precision in precisions}
    assert ways - {("eager", "bfloat16")} == integers_and_fractions
    for one in told["measured"]:
        assert one["speed"]["texts_per_second"] > 0
        assert 0 < one["speed"]["latency"] <= one["speed"]["latency_p95"]
        assert one["of_limit"] is None or 0 < one["of_limit"] < 1
        assert one["peak_memory"] > 50e6
    best = max(told["measured"], key=lambda one: one["speed"]["texts_per_second"])
    assert told["best"]["many texts"] == best["way"]


def test_people_read_a_table_and_options_to_type(call: Call, translator: Path, run_copy: Path) -> None:
    assert not (run_copy / INT8_FILE).exists()
    shown = call("bench", translator, "--limit", 8, *QUICK).stdout
    assert "texts/s" in shown
    assert re.search(r"^ *eager +as stored( +\S+){4} +\d+% ", shown, re.MULTILINE)  # of limit
    assert re.search(r"^best for many texts: --engine (eager|openvino)", shown, re.MULTILINE)


def test_what_bench_recommends_can_be_typed(call: Call, run_copy: Path) -> None:
    options = ("--engine", "openvino", "--workers", 2, "--threads", 2)
    (plain, compiled) = (
        call("predict", run_copy, *given, text="my card was swallowed\n").stdout for given in ((), options)
    )
    assert compiled == plain


def test_what_inductor_compiles_is_kept(
    call: Call, run_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HEEDFUL_CACHE", str(tmp_path / "cache"))
    texts = "my card was swallowed\nwhere is my parcel\n"
    plain = call("predict", run_copy, text=texts)
    first, second = (call("predict", run_copy, "--engine", "inductor", text=texts) for _ in range(2))
    assert plain.stdout == first.stdout == second.stdout
    assert "PyTorch computes" not in first.stderr + second.stderr
    assert [message for message in caplog.messages if message.startswith("heedful: compiling by Inductor")] == [
        "heedful: compiling by Inductor, once for this network: it takes a minute or more"
    ]
    assert len(list((tmp_path / "cache" / "inductor").iterdir())) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bench", "nowhere"), "nowhere"),
        (("predict", "RUN", "--engine", "onnx"), "'onnx' is not one of 'eager', 'openvino', 'inductor', 'auto'"),
        (("predict", "RUN", "--workers", 0), "greater than or equal to 1"),
        (("bench", "RUN", "nothing.jsonl"), "nothing.jsonl"),
    ],
)
def test_mistakes_are_told(call: Call, run_copy: Path, arguments: tuple[str, ...], said: str) -> None:
    answer = call(*(run_copy if argument == "RUN" else argument for argument in arguments), text="a\n")
    assert answer.exit_code == 2
    assert said in " ".join(answer.stderr.replace("│", "").split())
