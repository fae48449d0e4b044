"""What a bot says, as blocks: nothing is lost, nothing is live that should not be, and it is split at good places."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemmagraph.bots.text import Code, Paragraph, Span, as_text, blocks_of, clean, split

URLS = (
    "https://evil.example.com/?k=1",
    "http://10.0.0.1/",
    "ftp://files.example.com/x",
    "https://good.example.org.evil.com/",
    "https://good.example.org@evil.com/",
    "https://evil.com\\@good.example.org/",
    "https://GOOD.example.org:8080@evil.com/",
    "javascript://good.example.org/%0aalert(1)",
    "evil.example.com/path",
    "www.evil.com/a",
    "mailto:a@evil.com",
    "https://good.example.org%2eevil.com/",
    "https://xn--good.example.org.evil.com/",
    "https://ｇood.example.org/",
    "slack://open?team=T1",
    "https://[::1]/",
)


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("written", ["{}", "see {}.", "<{}>", "[name]({})", "![picture]({})", "**{}**", "({})"])
def test_no_other_link_is_live(url: str, written: str) -> None:
    spans = [span for block in blocks_of(written.format(url), ["good.example.org"]) for span in spans_of(block)]
    assert not [span for span in spans if span.style == "link"]


def spans_of(block: object) -> tuple[Span, ...]:
    return block.spans if isinstance(block, Paragraph) else ()


@pytest.mark.parametrize(
    "url", ["https://good.example.org/a?b=1", "https://good.example.org", "http://Good.Example.org/x"]
)
def test_links_of_allowed_hosts_are_live(url: str) -> None:
    (block,) = blocks_of(f"see {url}, or not", ["good.example.org"])
    assert Span(url, "link") in spans_of(block)


def test_hosts_below_one_are_allowed_with_a_star() -> None:
    (block,) = blocks_of("https://a.b.example.org/ https://example.org/", ["*.example.org"])
    assert [span.style for span in spans_of(block) if span.text.startswith("https")] == ["link", "code"]


CASES = {
    "**bold** and *italic* and `code`": [
        Paragraph(
            (Span("bold", "bold"), Span(" and "), Span("italic", "italic"), Span(" and "), Span("code", "code"))
        )
    ],
    "## Title\ntext": [Paragraph((Span("Title", "bold"), Span("\ntext")))],
    "a\n\nb": [Paragraph((Span("a"),)), Paragraph((Span("b"),))],
    "```py\nx\n```\nafter": [Code("x", "py"), Paragraph((Span("after"),))],
    "```\nnever closed": [Code("never closed")],
    "~~~\n```\n~~~": [Code("```")],
    "````\n```\n````": [Code("```")],
    "|a|b|\n|-|-|\n|1|2|\nafter": [Code("|a|b|\n|-|-|\n|1|2|"), Paragraph((Span("after"),))],
    "2*3*4 and a_b_c": [Paragraph((Span("2*3*4 and a_b_c"),))],
    "": [],
    " \n \n": [],
    "- one\n- two": [Paragraph((Span("- one\n- two"),))],
}


@pytest.mark.parametrize("text", CASES)
def test_markdown_becomes_blocks(text: str) -> None:
    assert blocks_of(text) == CASES[text]


def test_what_turns_or_hides_text_is_spelled_out() -> None:
    assert clean("a\u202eb\u2066c\x00d\x1b[31m\u200be\r\nf") == "a\\u202eb\\u2066cd[31me\nf"


def test_scripts_and_emoji_keep_their_joiners() -> None:
    family = "👨\u200d👩\u200d👧 می\u200cخواهم"
    assert clean(family) == family


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="ab `*|#\n~[](){}<>_-.:/@\u202e", max_size=300), st.integers(5, 60))
def test_nothing_is_lost_and_nothing_is_too_long(text: str, most: int) -> None:
    blocks = blocks_of(text)
    parts = split(blocks, lambda some: len(as_text(some)), most)
    assert all(len(as_text(part)) <= most for part in parts)
    assert "".join(as_text(blocks).split()) == "".join("".join(as_text(part) for part in parts).split())


def test_a_code_block_goes_on_as_code_and_is_cut_between_lines() -> None:
    code = Code("\n".join(f"line {number}" for number in range(100)), "sh")
    parts = split([code], lambda some: len(as_text(some)), 200)
    assert all(isinstance(block, Code) and block.language == "sh" for part in parts for block in part)
    lines = [line for part in parts for block in part for line in as_text([block]).splitlines()]
    assert lines == code.text.splitlines()


@settings(deadline=2000)
@given(
    st.sampled_from(["*", "`", "[", "](", "**a", "|", "#", "<", "a.", "a.b/", "https://", "```\n", "~", "(", "!["])
)
def test_hostile_repetition_is_read_in_time(piece: str) -> None:
    blocks_of(piece * 20_000)
