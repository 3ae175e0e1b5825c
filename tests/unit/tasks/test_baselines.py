"""What a summarizer has to beat, and where it is told."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from heedful.evaluation import Evaluation, evaluate
from heedful.generation import GenerationSettings
from heedful.model import UniformSpec, build
from heedful.tasks import Summarizer, Translator
from heedful.tasks.text_to_text import TextToTextCard
from heedful.tasks.text_to_text.baselines import BASELINES, baseline_values, units_of
from heedful.text import Tokenizer, TokenizerSettings

CHAT = (
    "Ann: hello\n\nBob: do we meet at the station?\nAnn: yes\nBob: or is eight too soon?\nAnn: at eight, by the clock\n"
)
PROSE = "Rain fell. It fell on the old town for days, and nobody left. Then it stopped! People danced."


@pytest.mark.parametrize(
    ("name", "of_chat", "of_prose"),
    [("lead-1", [0], [0]), ("lead-3", [0, 1, 2], [0, 1, 2]), ("longest-3", [1, 3, 4], [1, 2, 3])],
)
def test_what_is_chosen_of_turns_and_of_sentences(name: str, of_chat: list[int], of_prose: list[int]) -> None:
    chat, prose = units_of(CHAT), units_of(PROSE)
    assert chat == tuple(line for line in CHAT.split("\n") if line)
    assert prose == (
        "Rain fell.",
        "It fell on the old town for days, and nobody left.",
        "Then it stopped!",
        "People danced.",
    )
    chosen = BASELINES[name]
    assert chosen(chat) == of_chat
    assert chosen(prose) == of_prose
    assert chosen(()) == []


def test_values_are_those_of_the_chosen_texts() -> None:
    values = baseline_values([PROSE, CHAT], ["Rain fell.", "Ann: hello"])
    assert set(values) == set(BASELINES)
    assert values["lead-1"] == pytest.approx({"rouge1": 100, "rouge2": 100, "rougeL": 100, "rougeLsum": 100})
    assert values["lead-3"]["rouge1"] < 50


def test_an_evaluation_tells_them_beside_its_own(tmp_path: Path) -> None:
    data = tmp_path / "data.tsv"
    data.write_text(f"text\ttarget\n{PROSE}\tRain fell.\n", encoding="utf-8")
    tokenizer = Tokenizer.train([PROSE], TokenizerSettings(kind="bpe", vocabulary_size=300))
    model = build(UniformSpec(d_model=8, num_layers=1, num_heads=2).encoder_decoder(tokenizer.vocabulary_size), seed=0)
    generation = GenerationSettings(
        max_new_tokens=3, decoder_start_token_id=tokenizer.special.bos, eos_token_id=(tokenizer.special.eos,)
    )
    evaluations = {
        kind.job: evaluate(
            kind(
                model,
                tokenizer,
                TextToTextCard(job=kind.job, max_length=64, max_target_length=64, generation=generation),
            ),
            data,
            resamples=0,
        )
        for kind in (Summarizer, Translator)
    }
    assert evaluations["translation"].baselines == {}
    evaluation = evaluations["summarization"]
    assert Evaluation.from_json(evaluation.to_json()) == evaluation
    assert evaluation.baselines["lead-1"]["rougeL"] == pytest.approx(100)
    screen = io.StringIO()
    Console(file=screen, width=120).print(evaluation)
    printed = screen.getvalue()
    heading = next(line for line in printed.splitlines() if "metric" in line).split()
    row = next(line for line in printed.splitlines() if "ROUGE-1" in line).split()
    assert heading[-3:] == ["lead-1", "lead-3", "longest-3"]
    assert row[-3] == "100.0"
