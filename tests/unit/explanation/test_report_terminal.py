"""An explanation in the terminal: with colour, without, and what strangers' texts may not do to it."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from tests.explanations import CARD, explanation_of, full_explanation, written_explanation

from heedful.explanation.result import Explanation, WrittenExplanation

BLUE, ORANGE = "38;2;43;140;196", "38;2;213;101;30"


def shown(explanation: Explanation | WrittenExplanation, *, colour: bool = False, width: int = 110) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=colour, color_system="truecolor" if colour else None
    )
    console.print(explanation)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def line_of(text: str, start: str) -> str:
    (found,) = [line for line in text.splitlines() if line.strip().startswith(start)]
    return found


def test_words_are_blue_for_the_label_and_orange_against_it_and_the_strongest_stand_out() -> None:
    text = shown(explanation_of(), colour=True)
    assert "\x1b[1;38;2;255;255;255;48;2;43;140;196mswallowed\x1b[0m" in text
    assert f"\x1b[1;4;{BLUE}mcard\x1b[0m" in text
    assert f"\x1b[1;4;{ORANGE}mnot\x1b[0m" in text
    assert f"\x1b[{ORANGE}mstolen\x1b[0m" in text


def test_without_colour_marks_say_what_colour_says() -> None:
    text = shown(explanation_of())
    assert "my card⁺⁺ was not⁻⁻ swallowed⁺⁺⁺, it was stolen⁻" in text
    assert "\x1b" not in text


def test_bars_go_to_the_side_that_a_word_speaks_for() -> None:
    lines = shown(explanation_of())
    assert line_of(lines, "swallowed ").rstrip().endswith("+3.00             │██████████")
    assert line_of(lines, "not ").rstrip().endswith("−1.25         ▒▒▒▒│")


def test_the_answer_its_rival_and_the_sum_are_written_out() -> None:
    text = shown(explanation_of())
    assert line_of(text, "card_swallowed").split() == ["card_swallowed", "87.5%", "runner-up:", "card_stolen", "6.2%"]
    assert line_of(text, "tokens").strip() == "tokens +3.07, bias −0.50 = logit 2.575 ✓"
    nothing = shown(explanation_of(CARD, [0.0] * 9))
    assert line_of(nothing, "tokens").strip() == "tokens +0.12, bias −0.50 = logit −0.375 ✓"
    assert "rather than card_stolen" in shown(replace(explanation_of(), against="card_stolen"))


def test_of_many_words_the_strongest_are_listed() -> None:
    text = " ".join(f"w{number}" for number in range(300))
    lines = shown(explanation_of(text, [number / 100 for number in range(300)]))
    assert "the strongest 10 of 300 words" in lines
    assert [line for line in lines.splitlines() if "│" in line][-1].split()[0] == "w290"


def test_what_was_measured_and_noted_is_shown() -> None:
    text = shown(full_explanation())
    assert "comprehensiveness 0.412" in text
    assert "! the text was read in 2 windows" in text
    assert line_of(text, "2 ").split() == ["2", "25.0%", "81.2%"]


@pytest.mark.parametrize("colour", [True, False])
def test_markup_and_escape_sequences_of_a_text_are_shown_and_not_obeyed(colour: bool) -> None:
    word = "[red]\x1b[2J\x07[/nothing]"
    explanation = replace(explanation_of(word, [1.0], label=f"label {word}"), notes=(f"note {word}",))
    text = shown(explanation, colour=colour)
    assert "\x1b[2J" not in text
    assert "\x07" not in text
    assert text.count("[red] [2J [/nothing]") == 4  # the label, the text, the table, the note


def test_scores_that_are_all_zero_are_shown_without_marks() -> None:
    text = shown(explanation_of(CARD, [0.0] * 9))
    assert CARD in text
    assert not set("█▒⁺⁻") & set(text.replace("⁺ speaks for it, ⁻ against it", ""))


def test_each_written_word_has_its_sources_its_sum_and_a_flag_where_it_hardly_looked() -> None:
    explanation = written_explanation()
    text = shown(explanation)
    number = 1
    row = line_of(text, "Hund").replace("\N{NO-BREAK SPACE}", " ")
    assert "dog +2.50" in row
    source = explanation.source[number].sum() + explanation.source_special[number]
    before = explanation.prefix[number].sum() + explanation.start[number]
    parts = [
        f"{value:+.2f}".replace("-", "−")
        for value in (source, before, explanation.bias[number], source + before + explanation.bias[number])
    ]
    assert row.split()[-5:] == [*parts, "71%"]
    assert [line.split()[0] for line in text.splitlines() if "⚑ 12%" in line] == ["."]
    assert "! ⚑ 1 of 9 words hardly looked at the source (a share under 20%)" in text
    assert "! the end of the sentence was not written" in text


def test_nothing_is_flagged_where_all_words_looked_at_the_source() -> None:
    explanation = written_explanation()
    assert "⚑" not in shown(replace(explanation, source_share=np.full(len(explanation.written), 0.5)))
