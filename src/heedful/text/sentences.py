"""Where sentences end.

Rules, not a model: a mark that may end a sentence does so unless what stands around it speaks against it. What is the
language's own, such as its abbreviations, stands in :mod:`heedful.text.sentence_rules`; scripts tell the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from heedful.scripts import CJK
from heedful.text.pieces import Span, SplitText
from heedful.text.sentence_rules import SentenceRules, rules_of

_LINE_BREAKS = frozenset("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")
_SPACED = ".!?…‼⁇⁈⁉؟۔।॥։።၊။។"
"""They end a sentence where white space follows."""
_FULL = "。！？｡．"
"""They end a sentence whatever follows."""
_MARKS = re.compile(
    rf"(?<![{_SPACED}{_FULL}])(?P<marks>[{_SPACED}{_FULL}]+)"
    # what belongs to the sentence that ends: brackets, quotes, tags, notes
    r"(?P<closers>(?:[)\]}\"'”’»›」』）］｝】》〉〕〗｣*_]|[“‘«‹](?=\s|$)|[ \xa0\u202f][»›”](?=\s|$)"
    r"|</\w+>|\[\d{1,3}\]|[¹²³⁴-⁹])*+)"
    r"(?P<space>\s*)"
)
_OPENERS = re.compile(r"(?:['’][a-z]\s|[a-z]\)\s|[(\[{\"'“”„‚‘’«»‹›¿¡「『（［｛【《〈*_#–—•·-]|<\w[^<>]*>|\s)*+")
"""What may stand before the first word of a sentence; ``a)`` too, and ``'s`` in Dutch."""
_NEXT_WORD = re.compile(r"(?![^\W\d_]\.)\w+['’]?")
"""An initial is none."""
_LAST_WORD = re.compile(r"[^\s(\[{\"'“„‚‘«»<>](?:[^\s(\[{\"“„‚‘«»<>]*)$")
_LIST_NUMBER = re.compile(r"[(\[]?(?:\d{1,3}(?:\.\d{1,3})*|[IVX]{1,6}|[ivx]{1,6}|[A-Za-zÀ-ÖØ-öø-ÿА-яЁё])[)\]]?")
_GO_ON = frozenset(",;:)]}，、；：")
_PARTICLES = frozenset("とはがをにもでのやっよねなだ")
"""In Japanese they carry a sentence on after what was quoted."""
_NEAR = 80
"""Characters around a mark that are looked at."""


def split_sentences(text: str, language: str | None = None) -> SplitText:
    """Split a text into its lines, and those into sentences.

    Args:
        language: a code in any of the usual forms, such as ``de``, ``de_DE``, ``deu_Latn`` or ``zh-Hans``; where it is
            None, or one without rules of its own, what most languages share is used.
    """
    rules = rules_of(language)
    return SplitText(text, tuple(span for line in _lines(text) for span in _sentences(text, line, rules)))


def _lines(text: str) -> Iterator[Span]:
    """Where each line begins and ends; blank ones are none."""
    start = len(text) - len(text.lstrip())
    stop = len(text.rstrip())
    for space in re.finditer(r"\s+", text[:stop]):
        if space.start() > start and not _LINE_BREAKS.isdisjoint(space.group()):
            yield start, space.start()
            start = space.end()
    if start < stop:
        yield start, stop


def _sentences(text: str, line: Span, rules: SentenceRules) -> Iterator[Span]:
    start, stop = line
    for match in _MARKS.finditer(text, start, stop):
        if match.end() < stop and match.start() > start and _ends(text, start, match, stop, rules):
            yield start, match.end("closers")
            start = match.end()
    yield start, stop


def _ends(text: str, start: int, match: re.Match[str], stop: int, rules: SentenceRules) -> bool:
    """Whether the sentence that began at ``start`` ends with the marks that were found."""
    marks, following = match["marks"], text[match.end()]
    if following in _GO_ON:
        return False
    if marks[-1] in _FULL or not match["space"]:
        return _ends_without_blank(text, match, following)
    begin = _OPENERS.match(text, match.end(), stop)
    assert begin is not None
    if text[match.start() - 1] in "([{" and match["closers"]:  # (?) and (!) say something of the word before them
        return False
    if begin.end() < stop and _is_small(text[begin.end()]):
        return False
    return marks != "." or not _goes_on(text, start, match.start(), begin.end(), rules)


def _is_small(letter: str) -> bool:
    return letter.islower() and not "ა" <= letter <= "ჿ"  # Georgian has no capitals in running text


def _goes_on(text: str, start: int, stop: int, following: int, rules: SentenceRules) -> bool:
    """Whether the full stop at ``stop`` is that of a number in a list, or of an abbreviation."""
    if _LIST_NUMBER.fullmatch(text, start, stop):
        return True
    last = _LAST_WORD.search(text, max(start, stop - _NEAR), stop)
    next_ = _NEXT_WORD.match(text, following, following + _NEAR)
    return not rules.ends_after(last.group() if last else "", next_.group() if next_ else "")


def _ends_without_blank(text: str, match: re.Match[str], following: str) -> bool:
    before = text[match.start() - 1]
    if match["marks"][-1] not in _FULL:  # a ? of ASCII in Chinese; in an address it is none
        return match["marks"][-1] in "!?" and bool(CJK.match(before) and CJK.match(following))
    if match["marks"] == "．":
        return not (before.isdigit() and following.isdigit())
    return not (match["closers"] and following in _PARTICLES)
