"""Write the speeds of the latest benchmark reports into the READMEs, between their marks.

Run: python tools/speed_table.py
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
REPORTS = ROOT / "benchmarks" / "reports"
START, END = "<!-- speed:start -->\n", "<!-- speed:end -->"
COLUMNS = {
    "inference": ("engine", "texts/s", "one text, ms, p50 / p95", "memory, MB", "same label"),
    "generation": ("engine", "sentences/s", "one sentence, greedy, ms, p50 / p95", "memory, MB", "BLEU"),
}
"""Kind of report -> what of its table is shown."""
WORDS: Mapping[str, Mapping[str, str]] = {
    "README.md": {},
    "README.zh-CN.md": {
        "engine": "引擎",
        "texts/s": "文本/秒",
        "one text, ms, p50 / p95": "单条文本,毫秒,p50 / p95",
        "same label": "标签相同",
        "memory, MB": "内存,MB",
        "sentences/s": "句/秒",
        "one sentence, greedy, ms, p50 / p95": "单句贪心,毫秒,p50 / p95",
    },
}


def latest(kind: str) -> Path | None:
    """The newest report of a kind."""
    return max(REPORTS.glob(f"*-{kind}.md"), default=None)


def rows(report: str) -> list[dict[str, str]]:
    """The rows of the first table of a report, by the heads of its columns."""
    lines = [line.strip("|").split("|") for line in re.findall(r"^\|.*\|$", report, flags=re.MULTILINE)]
    heads, _, *cells = [[cell.strip() for cell in line] for line in lines]
    return [dict(zip(heads, line, strict=True)) for line in cells]


def table(found: Sequence[Mapping[str, str]], columns: Sequence[str], words: Mapping[str, str]) -> list[str]:
    """The rows of a README."""
    heads = [words.get(column, column) for column in columns]
    lines = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(columns) - 1)}"]
    for row in found:
        engine, *figures = [row[column] for column in columns]
        name = f"**{engine}**" if engine.startswith("heedful") else engine
        lines.append(f"| {' | '.join([name, *figures])} |")
    return lines


def section(words: Mapping[str, str]) -> str:
    """What stands between the marks."""
    lines: list[str] = []
    for kind, columns in COLUMNS.items():
        if report := latest(kind):
            text = report.read_text(encoding="utf-8")
            described = text.split("\n\n")[1]
            place = report.relative_to(ROOT).as_posix()
            lines += [f"[{described.split(';', maxsplit=1)[0]}]({place}):", "", *table(rows(text), columns, words), ""]
    return "\n".join(lines)


def main() -> None:
    """Bring the READMEs up to date."""
    for name, words in WORDS.items():
        readme = ROOT / name
        before, rest = readme.read_text(encoding="utf-8").split(START)
        _, after = rest.split(END)
        readme.write_text(before + START + section(words) + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
