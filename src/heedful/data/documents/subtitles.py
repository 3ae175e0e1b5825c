"""Subtitles: SubRip (.srt) and WebVTT (.vtt). Numbers, time codes, places, styles and notes stay as they are."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from heedful.data.documents.document import Segment, Template, one_line
from heedful.data.documents.inline import Kind, Piece, segment_of
from heedful.errors import DataError

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_SRT_TIME = re.compile(r"(\d+):([0-5]\d):([0-5]\d)[,.](\d{3})")
_VTT_TIME = re.compile(r"(?:(\d+):)?([0-5]\d):([0-5]\d)\.(\d{3})")
_MARKUP = re.compile(r"(<[^<>]*>|\{\\[^{}]*\})")
_TAG = re.compile(r"<(/?)([A-Za-z]+)[^<>]*>")
_SPEAKER = re.compile(r"(?:<[^<>]*>|\{\\[^{}]*\}|\s)*[-–—]\s*(?=\S)")
"""Ahead of what one of several persons says."""
_VTT_KEPT = ("NOTE", "STYLE", "REGION")


@dataclass(frozen=True)
class _Format:
    """What sets one format of subtitles apart from the other."""

    time: re.Pattern[str]
    example: str
    read: Callable[[str], str]
    write: Callable[[str], str]


def _write_vtt(text: str) -> str:
    return html.escape(text, quote=False)


_SRT = _Format(_SRT_TIME, "00:01:02,345 --> 00:01:04,000", str, str)
_VTT = _Format(_VTT_TIME, "00:01:02.345 --> 00:01:04.000", html.unescape, _write_vtt)


def parse_srt(text: str, name: str) -> Template:
    """
    Raises:
        DataError: a block has no number or no proper time line; the line is named.
    """
    return tuple(part for block in _blocks(text) for part in _srt_block(block, name))


def parse_vtt(text: str, name: str) -> Template:
    """
    Raises:
        DataError: the first line is not WEBVTT, or a block has no proper time line; the line is named.
    """
    blocks = list(_blocks(text))
    if not re.match(r"\ufeff?WEBVTT(?=\s|$)", text):
        raise _malformed(name, 1, "does not begin with WEBVTT")
    template: list[str | Segment] = []
    for number, block in enumerate(blocks):
        first = block.lines[0].strip()
        if number == 0 or not first or first.split()[0] in _VTT_KEPT:
            template += block.lines
        else:
            timed = 0 if "-->" in first else 1
            template += _cue(block, timed, name, _VTT)
    return tuple(template)


@dataclass(frozen=True)
class _Block:
    """Lines without a blank one between them, or blank lines; with their ends."""

    number: int
    """Of its first line, from 1."""
    lines: Sequence[str]


def _blocks(text: str) -> Iterator[_Block]:
    lines = _LINE.findall(text)
    start = 0
    for end in range(1, len(lines) + 1):
        if end == len(lines) or bool(lines[end].strip()) != bool(lines[start].strip()):
            yield _Block(start + 1, lines[start:end])
            start = end


def _srt_block(block: _Block, name: str) -> Sequence[str | Segment]:
    first = block.lines[0].strip().removeprefix("\ufeff")
    if not first:
        return block.lines
    if not first.isdecimal():
        raise _malformed(name, block.number, f"should be the number of a subtitle, not {first!r:.60}")
    return _cue(block, 1, name, _SRT)


def _cue(block: _Block, timed: int, name: str, form: _Format) -> list[str | Segment]:
    """A subtitle whose time line has the index ``timed``."""
    line = block.number + timed
    if timed >= len(block.lines):
        raise _malformed(name, line, "should be the time line of a subtitle, and there is none")
    given = block.lines[timed].strip()
    start, arrow, rest = given.partition("-->")
    end = rest.split()[0] if rest.split() else ""
    times = [form.time.fullmatch(part) for part in (start.strip(), end)]
    if not (arrow and all(times)):
        raise _malformed(name, line, f"should be a time line such as {form.example}, not {given!r:.60}")
    begins, ends = ([int(part or 0) for part in time.groups()] for time in times if time)
    if begins > ends:
        raise _malformed(name, line, f"ends before it begins: {given!r:.60}")
    return [*block.lines[: timed + 1], *(_speech(lines, form) for lines in _speeches(block.lines[timed + 1 :]))]


def _speeches(lines: Sequence[str]) -> Iterator[Sequence[str]]:
    """Lines that one person speaks: a dash at their beginning tells where the next one does."""
    start = 0
    for end in range(1, len(lines) + 1):
        if end == len(lines) or _SPEAKER.match(lines[end]):
            yield lines[start:end]
            start = end


def _speech(lines: Sequence[str], form: _Format) -> Segment | str:
    raw = "".join(lines)
    dash = _SPEAKER.match(raw)
    start = dash.end() if dash else 0
    body = raw[start:].rstrip()
    pieces = [Piece(Kind.ALONE, (raw[:start],))] if start else []
    pieces += [_piece(part, form) for part in _MARKUP.split(body) if part]
    ending = raw[start + len(body) :]
    if ending:
        pieces.append(Piece(Kind.ALONE, (ending,)))
    line_end = re.search(r"\r\n|\r|\n", raw)
    arrange = partial(_on_lines, count=len(lines), line_end=line_end.group() if line_end else "\n")
    return segment_of(pieces, raw, escape=form.write, arrange=arrange)


def _piece(part: str, form: _Format) -> Piece:
    if not _MARKUP.fullmatch(part):
        text = form.read(re.sub(r"\s+", " ", part))
        return Piece(Kind.TEXT, (part,), text)
    tag = _TAG.fullmatch(part)
    if tag is None:
        return Piece(Kind.ALONE, (part,))
    return Piece(Kind.CLOSE if tag[1] else Kind.OPEN, (part,), name=tag[2])


def _on_lines(answer: str, *, count: int, line_end: str) -> str:
    """``answer`` on at most ``count`` lines of about one length, broken at blanks, or anywhere where there are none."""
    rest, lines = one_line(answer), []
    for left in range(count, 1, -1):
        middle = len(rest) / left
        blanks = [place for place, character in enumerate(rest) if character == " "]
        if blanks:
            place = min(blanks, key=lambda blank: abs(blank - middle))
        elif rest.isascii() or "<" in rest:
            break  # a word that cannot be cut
        else:
            place = round(middle)
        lines.append(rest[:place].rstrip())
        rest = rest[place:].lstrip()
    return line_end.join(line for line in (*lines, rest) if line)


def _malformed(name: str, line: int, fault: str) -> DataError:
    return DataError(f"{name}, line {line:,}: {fault}", remedy="Mend the subtitles there, or name another format.")
