"""Documents: what is answered, and that all else comes back as it was."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from heedful.data.documents import Document, DocumentFormat, document_format, open_document, read_document
from heedful.data.documents.document import one_line
from heedful.errors import DataError, HeedfulError, RequestError

MARKDOWN = """---
title: stays
---
# A *big* title #

Some **bold words** and `code`, a [link](http://a.b/c "its title") on
two lines with ![a picture](x.png).\\
A break. <span class="a">Span</span> and <http://x.y>.

> Quote one
> quote two

- item one
  continues
1. see [ref][r] and [r]
- [ ] task[^1]

| Head | Other |
|---|---|
| cell a | cell \\| b |

```python
code = "stays"
```

[r]: http://ref.example

[^1]: A note.
"""
HTML = """<!DOCTYPE html>
<html><head><title>My page &amp; more</title><style>p {color: red}</style></head>
<body class="stays"><!-- stays --><p>Hello <b>bold &eacute;</b>, see <a href="x.html" title='Go'>this</a>.
  <img src=a.png alt="a cat"> then <code>do()</code> words</p>
<ul><li>one<li><i>two</i></ul><p translate="no">Heedful</p><p>42</p>
<script>if (a<b) {document.write("</p>")}</script>
</body></html>
"""
SRT = """1
00:00:01,000 --> 00:00:02,000
<i>Hello there,
my friend.</i>

2
00:00:03,000 --> 00:00:04,500 X1:40 X2:600
{\\an8}- Who is it?
- Me & you.

3
00:00:05,000 --> 00:00:06,000
♪
"""
VTT = """WEBVTT - a title

NOTE stays

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.000 align:start
<v Ann>Hello <b>there</b> &amp; welcome

00:01:03.000 --> 00:01:04.000
One
two
"""
SAMPLES = {
    DocumentFormat.MARKDOWN: MARKDOWN,
    DocumentFormat.HTML: HTML,
    DocumentFormat.SRT: SRT,
    DocumentFormat.VTT: VTT,
    DocumentFormat.PLAIN: "\n\n  A first line.\nA second one.\n\n",
}
PAGES = sorted(Path(__file__).parents[4].glob("docs/**/*.md"))
WORDS = ("text", "softbreak")
each_format = pytest.mark.parametrize("form", DocumentFormat)


def shouted(text: str) -> str:
    """An answer that can be told from its segment, with its tags."""
    return "".join(part if part.startswith("<") else part.upper() for part in re.split(r"(</?[gx]\d+/?>)", text))


def test_every_format_has_a_sample() -> None:
    assert set(SAMPLES) == set(DocumentFormat)


@each_format
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_segments_that_answer_themselves_give_the_very_document(form: DocumentFormat, line_end: str) -> None:
    text = "\ufeff" + SAMPLES[form].replace("\n", line_end)
    document = read_document(text, form)
    assert document.fill(document.segments) == text
    assert document.fill([" "] * len(document.segments)) == text


@each_format
def test_a_document_that_was_answered_has_the_answers_for_segments(form: DocumentFormat) -> None:
    document = read_document(SAMPLES[form], form)
    answers = [shouted(segment) for segment in document.segments]
    assert all(answer != segment for answer, segment in zip(answers, document.segments, strict=True))
    again = read_document(document.fill(answers), form)
    # What is referred to twice is written twice.
    assert again.segments == tuple(answers)


def test_only_the_segment_that_changed_is_written_anew() -> None:
    document = read_document("<p>A &eacute;</p><p  >b &eacute;</p>", "html")
    assert document.fill(["A é", "c é"]) == "<p>A &eacute;</p><p  >c é</p>"


def test_there_is_one_answer_for_each_segment() -> None:
    with pytest.raises(RequestError, match="2 answers do not fill 1 segments"):
        read_document("# Title\n", "markdown").fill(["one", "two"])


def test_markdown_is_read_by_its_meaning() -> None:
    document = read_document(MARKDOWN, "markdown")
    assert document.segments == (
        "A <g1>big</g1> title",
        "Some <g1>bold words</g1> and <x2/>, a <g3>link</g3> on two lines with <x4/>.<x5/>A break. <g6>Span</g6> "
        "and <x7/>.",
        "its title",
        "a picture",
        "Quote one quote two",
        "item one continues",
        "see <g1>ref</g1> and <g2>r</g2>",
        "task",
        "Head",
        "Other",
        "cell a",
        "cell | b",
        "A note.",
    )
    filled = document.fill([shouted(segment) for segment in document.segments])
    for kept in ("title: stays", 'code = "stays"', "`code`", "(http://a.b/c ", "](x.png)", "<http://x.y>", "[^1]: A N"):
        assert kept in filled
    assert "> QUOTE ONE QUOTE TWO\n" in filled
    assert "- [ ] TASK[^1]\n" in filled
    assert "| CELL A | CELL \\| B |" in filled
    assert "SEE [REF](http://ref.example) AND" in filled


@pytest.mark.parametrize("attributes", ["{#big-title}", "{: .wide}", "{ #a .b key=c }"])
def test_the_name_of_a_heading_stays(attributes: str) -> None:
    document = read_document(f"# A title {attributes}\n\nSee {{x}}.\n", "markdown")
    assert document.segments == ("A title", "See {x}.")
    assert document.fill(["EIN TITEL", "SIEHE {x}."]) == f"# EIN TITEL {attributes}\n\nSIEHE {{x}}.\n"


def block_tokens(text: str) -> list[str]:
    return [token.type for token in MarkdownIt("commonmark").enable("table").parse(text)]


@given(answer=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30))
@settings(max_examples=80, deadline=None)
@example("# no heading")
@example("1. no list")
@example("- no list")
@example("---")
@example("> no quote")
@example("a | b")
@example("*a* `b` [c](d) <e> _f_ ~~g~~ \\")
@example("&amp; &#35; ![x](y)")
@example("ends with #")
@example("__init__ and snake_case, _both_ sides")
def test_an_answer_in_markdown_means_itself(answer: str) -> None:
    text = "# Head\n\npara\n\n> - item\n\n| cell | a |\n|---|---|\n| b | c |\n"
    document = read_document(text, "markdown")
    filled = document.fill([answer] * len(document.segments))
    assert block_tokens(filled) == block_tokens(text)
    wanted = one_line(answer)
    inline = [token for token in MarkdownIt("commonmark").enable("table").parse(filled) if token.type == "inline"]
    if wanted:
        for token in inline:
            assert "".join(child.content for child in token.children or []) == wanted
            assert {child.type for child in token.children or []} == {"text"}


def test_lines_that_must_stay_lines_do() -> None:
    text = "> [!NOTE]\n> one\n> two\n\n[^1]: three words\n[^2]: four\n"
    document = read_document(text, "markdown")
    assert document.segments == ("one two", "three words<x1/><x2/> four")
    assert document.fill(["ONE", "THREE<x1/><x2/> FOUR"]) == "> [!NOTE]\n> ONE\n\n[^1]: THREE\n[^2]: FOUR\n"


def test_blanks_stand_outside_of_emphasis() -> None:
    document = read_document("one **two** *three*\n", "markdown")
    assert document.fill(["one<g1> two </g1>three <g2> four</g2>"]) == "one **two** three *four*\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_of_the_documentation_keep_their_structure(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    document = read_document(text, "markdown")
    assert document.fill(document.segments) == text
    filled = document.fill([shouted(segment) for segment in document.segments])
    assert filled != text
    assert structure(filled) == structure(text)


def structure(text: str) -> list[object]:
    """What a text in Markdown is made of, its words left out."""
    made: list[object] = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        made += [(token.type, token.tag), token.content if token.type in ("fence", "code_block", "html_block") else ""]
        made += [(child.type, child.attrs.get("href")) for child in token.children or [] if child.type not in WORDS]
    return made


def test_html_is_read_by_its_meaning() -> None:
    document = read_document(HTML, "html")
    assert document.segments == (
        "My page & more",
        "Hello <g1>bold é</g1>, see <g2>this</g2>. <x3/> then <x4/> words",
        "Go",
        "a cat",
        "one",
        "two",
    )
    filled = document.fill(["A < B", *document.segments[1:3], 'the "cat"', *document.segments[4:]])
    assert "<title>A &lt; B</title>" in filled
    assert 'alt="the &quot;cat&quot;"' in filled
    assert '<script>if (a<b) {document.write("</p>")}</script>' in filled


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("<p>one\n<b>two</p>", "line 2: </p> comes before the <b> of line 2 ends"),
        ("<p>one</p>\n\n</div>", "line 3: </div> closes nothing"),
        ("<div>\n<p>one", "line 1: <div> is not closed"),
        ("<p>one</p>\n<!-- two", "line 2: a tag does not end"),
        ("<p>one</p>\n<a href='x", "line 2: a tag does not end"),
        ("<p>one\n<![wrong[ x ]]>", "line 2: unknown status"),
    ],
)
def test_malformed_html_is_refused_with_its_line(text: str, fault: str) -> None:
    with pytest.raises(DataError) as caught:
        read_document(text, "html", name="page.html")
    assert f"page.html, {fault}" in str(caught.value)


@pytest.mark.parametrize(
    ("form", "text", "fault"),
    [
        ("srt", "1\n00:00:01,000 -> 00:00:02,000\nHello\n", "line 2: should be a time line such as 00:01:02"),
        ("srt", "1\n00:00:01,000 --> 00:61:02,000\nHello\n", "line 2: should be a time line"),
        ("srt", "1\n00:00:03,000 --> 00:00:02,000\nHello\n", "line 2: ends before it begins"),
        ("srt", "1\n00:00:01,000 --> 00:00:02,000\nHello\n\nthere\n", "line 5: should be the number of a subtitle"),
        ("srt", "1\n00:00:01,000 --> 00:00:02,000\nHello\n\n2", "line 6: should be the time line"),
        ("vtt", "00:01.000 --> 00:02.000\nHello\n", "line 1: does not begin with WEBVTT"),
        ("vtt", "WEBVTT\n\nname\n00:01,000 --> 00:02.000\nHello\n", "line 4: should be a time line"),
    ],
)
def test_malformed_subtitles_are_refused_with_their_line(form: str, text: str, fault: str) -> None:
    with pytest.raises(DataError, match=rf"^a file, {fault}"):
        read_document(text, form, name="a file")


def test_subtitles_keep_their_lines_and_speakers() -> None:
    document = read_document(SRT, "srt")
    assert document.segments == ("Hello there, my friend.", "Who is it?", "Me & you.")
    filled = document.fill(["Hallo, mein lieber guter Freund.", "Wer ist da?", "你和我"])
    assert "<i>Hallo, mein lieber\nguter Freund.</i>\n" in filled
    assert "{\\an8}- Wer ist da?\n- 你和我\n" in filled
    assert re.findall(r".*-->.*", filled) == re.findall(r".*-->.*", SRT)
    chinese = read_document("1\n0:00:01,0 --> 0:00:02,000\n".replace(",0 ", ",000 ") + "One\r\ntwo\r\n", "srt")
    assert chinese.fill(["你好我的朋友"]).endswith("\n你好我\r\n的朋友\r\n")
    web = read_document(VTT, "vtt")
    assert web.segments == ("Hello <g1>there</g1> & welcome", "One two")
    assert "<v Ann>A &lt;<b>B</b>\n" in web.fill(["A <<g1>B</g1>", "One two"])


@pytest.mark.parametrize(
    ("answer", "written"),
    [
        ("A <g1>b</g1> c<x3/>", "A <b>b</b> c<br>"),
        ("no tags", "no tags <br>"),
        ("<g1>one <g2>two</g1> three</g2><x3/>", "<b>one <i>two</i></b> three<br>"),
        ("<g1>one<g1> two</g1></g1><x3/><x3/>", "<b>one</b> two<br>"),
        ("</g1>one<x3/> <g2>two", "one<br> <i>two</i>"),
        ("<g9>one</g9><x3/>", "&lt;g9&gt;one&lt;/g9&gt;<br>"),
    ],
)
def test_tags_come_back_well_formed(answer: str, written: str) -> None:
    document = read_document("<p>x <b>one</b> <i>two</i> <br> three</p>", "html")
    assert document.segments == ("x <g1>one</g1> <g2>two</g2> <x3/> three",)
    assert document.fill([answer]) == f"<p>{written}</p>"


def test_text_that_looks_like_a_tag_is_no_tag() -> None:
    document = read_document("<p>say &lt;g1&gt; <b>now</b> please</p>", "html")
    (segment,) = document.segments
    assert segment == "say <g1> <g2>now</g2> please"
    assert document.fill([segment.replace("say", "write")]) == "<p>write &lt;g1&gt; <b>now</b> please</p>"


ANYTHING = st.lists(
    st.sampled_from([*"ab \n\r\t#*_`[]()<>!-=|&;:/\\\"'.1é中{}", "<b>", "</b>", "<p>", "-->", "\n\n", "word", "| - |"])
).map("".join)


class _Balanced(HTMLParser):
    """Counts what is open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@each_format
@given(text=ANYTHING, data=st.data())
@settings(max_examples=80, deadline=None)
def test_any_text_comes_back_or_is_refused(form: DocumentFormat, text: str, data: st.DataObject) -> None:
    try:
        document = read_document(text, form)
    except HeedfulError as error:
        assert form is not DocumentFormat.MARKDOWN or "no text" in str(error)
        return
    assert document.fill(document.segments) == text
    answers = data.draw(st.lists(ANYTHING, min_size=len(document.segments), max_size=len(document.segments)))
    assert isinstance(document.fill(answers), str)


@given(st.lists(st.sampled_from(["<g1>", "</g1>", "<g2>", "</g2>", "<x3/>", "word ", "<", "&"])).map("".join))
def test_html_stays_well_formed_whatever_the_answer(answer: str) -> None:
    document = read_document("<p>x <b>one</b> <i>two</i> <img> three</p>", "html")
    filled = document.fill([answer])
    assert filled.count("<img>") == 1
    parser = _Balanced()
    parser.feed(filled.replace("<img>", ""))
    assert parser.open == []


def test_a_page_as_a_plain_text() -> None:
    assert read_document(HTML, "html").text.startswith("My page & more\n\nHello bold é , see this")


def test_files_are_opened_by_their_endings(tmp_path: Path) -> None:
    assert [document_format(f"a.{end}") for end in ("SRT", "vtt", "md", "htm", "txt")] == [
        DocumentFormat.SRT,
        DocumentFormat.VTT,
        DocumentFormat.MARKDOWN,
        DocumentFormat.HTML,
        None,
    ]
    file = tmp_path / "page.html"
    file.write_bytes("\ufeff<p>Hé</p>\r\n".encode())
    document = open_document(file)
    assert isinstance(document, Document)
    assert document.fill(["x"]) == "\ufeff<p>x</p>\r\n"
    for name, content, fault in [
        ("a.txt", b"text", "the name of .* does not tell which kind"),
        ("a.srt", b"1\n00:00:01,000 --> 00:00:02,000\n\xff\n", "line 3: is not valid UTF-8"),
        ("a.md", b"", "holds no text"),
        ("missing.md", None, "cannot be read"),
    ]:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=fault):
            open_document(tmp_path / name)
    with pytest.raises(DataError, match="did you mean markdown"):
        open_document(file, "markdwn")
