from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexveil.nlp.readers import Reason, UnreadableError
from lexveil.nlp.readers.html import read as parse_html


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("<p>One\n   two <b>th</b>ree</p>", "One two three"),
        ("<div>A<div>B</div>C</div>", "A\nB\nC"),
        ("a<br>b", "a\nb"),
        ("<ul><li>x<li>y</ul>", "x\ny"),
        ("<table><tr><td>1<td>2<tr><td><td>4</table>after", "1\t2\n\t4\n\nafter"),
        ("<table><tr><td><p>a</p><p>b</p></td><td>c</td></tr></table>", "a\n\nb\tc"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("Smith &amp; Jones &sect; 4 &#8212; &nbsp;x", "Smith & Jones § 4 — \xa0x"),
        ("<head><title>t</title><style>s{}</style></head><script>x()</script>body", "body"),
        ("<body><noscript>n</noscript><template>t</template>kept", "kept"),
        ("<p>was <del>Ann</del><ins>Bea</ins></p>", "was Bea"),
        ("<p style='color:red; DISPLAY : none'>h</p><p hidden>i</p>k", "k"),
        ("<span style='visibility:hidden'>j</span>k", "k"),
        ("<!-- note --><p>x<!-- y -->z</p>", "xz"),
        ("no markup at all", "no markup at all"),
    ],
)
def test_text_of_pages(read: Callable[..., str], html: str, text: str) -> None:
    assert read("a.html", html.encode()).strip("\n") == text


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_charsets(read: Callable[..., str], encoding: str) -> None:
    head = f'<head><meta http-equiv="Content-Type" content="text/html; charset={encoding}"></head>'
    page = f"<html>{head}<body>张三</body></html>"
    assert read("a.htm", page.encode(encoding)) == "张三"


def test_a_page_declared_latin1_that_is_utf8(read: Callable[..., str]) -> None:
    assert read("a.html", '<meta charset="iso-8859-1"><p>café – 张三</p>'.encode()) == "café – 张三"


@pytest.mark.slow
def test_absurd_nesting_is_text_or_broken(read: Callable[..., str], refusal: Callable[..., Reason]) -> None:
    assert read("a.html", b"<div>" * 5000 + b"deep") == "deep"
    assert refusal("a.html", b"<div>" * 1_000_000 + b"deep" + b"</div>" * 1_000_000) is Reason.broken
    unclosed = read("a.html", b"<p>One<br>Two<li>Three" * 30_000)
    assert unclosed.count("Three") == 30_000
    assert refusal("a.html", b"<html><body></body></html>") is Reason.empty


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<h1>Order</h1>Before <em>Smith</em> J", "Order\n\nBefore Smith J"),
        ("<p>a<br/><br/>b</p>", "a\n\nb"),
        ("<p>a</p>\n\n\n<p></p><p> </p><p>b</p>", "a\n\nb"),
        ("<dl><dt>Party<dd>Ann Other<dt>Role<dd>Claimant</dl>", "Party\nAnn Other\nRole\nClaimant"),
        ("<ol><li><p>one</p></li><li><p>two</p></li></ol>", "one\n\ntwo"),
        ("<blockquote>quoted</blockquote>own", "quoted\n\nown"),
        ("<table><caption>T</caption><thead><tr><th>A<th>B<tbody><tr><td>1<td>2</table>", "T\nA\tB\n1\t2"),
        ("<table><tr><td>a<table><tr><td>x<td>y</table></td><td>b</table>", "a\n\nx\ty\tb"),
        ("<a href='mailto:ann@example.org'>write</a>", "write"),
        ("<img alt='seal' src='data:image/png;base64,AAAA'>text", "text"),
        ("<select><option>one<option selected>two</select>", "one\ntwo"),
        ("<textarea>typed\n text</textarea>", "typed text"),
        ("<sup>1</sup>note<sub>2</sub>", "1note2"),
        ("Ann<wbr>abel and Ann&shy;abel", "Annabel and Ann\xadabel"),
        ("<s>struck</s> <u>under</u> <ins>new</ins>", "under new"),
        ("<strike>a</strike>b<span style='color:red; text-decoration: line-through red'>c</span>", "b"),
        ("<span style='text-decoration:underline'>a</span>", "a"),
        (
            "Name: <input value='Ann Other'>, <input type=EMAIL value=a@b.org> <input type=text>.",
            "Name: Ann Other , a@b.org .",
        ),
        (
            "<input type=submit value=Send><input type=password value=secret><input type=radio value=on>x",
            "x",
        ),
        ("<svg><text>chart</text></svg><object>plugin</object>kept", "kept"),
        ("<div style='display:inline-block'>a</div><div style='displayed:none'>b</div>", "a\nb"),
        ("<div style='color:red;visibility : hidden ;'>x</div>y", "y"),
        ("<div HIDDEN=''>x<p>y</p></div>z", "z"),
        ("<input type='hidden' value='token'>z", "z"),
        ("<p>unhidden: the display of none</p>", "unhidden: the display of none"),
        ("<pre>\n  a\n\n  <b>b</b>\n</pre>c", "  a\n\n  b\n\n\nc"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;", "<script>alert(1)</script>"),
        ("&#20320;&#x597D; &euro;&nbsp;5 &unknown; AT&T", "你好 €\xa05 &unknown; AT&T"),
        ("<![CDATA[x]]>y", "y"),
        ("<!doctype html><html><body>z", "z"),
        ("</p></div></b>stray<p>end", "stray\n\nend"),
        ("<b><i>mis</b>nested</i>", "misnested"),
        ("<scr<script>x</script>ipt>y", "xipt>y"),
    ],
)
def test_pages_from_the_field(read: Callable[..., str], html: str, text: str) -> None:
    assert "\n".join(line.rstrip() for line in read("a.html", html.encode()).strip("\n").split("\n")) == text


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        ("<p>Müller".encode(), "utf-8", "Müller"),
        ("<p>Müller".encode("cp1252"), None, "Müller"),
        ("<meta charset='utf-8'><p>张三".encode("gbk"), "gbk", "张三"),
        ("<meta charset='gb2312'><p>张三".encode("gbk"), None, "张三"),
        ("<meta charset='latin1'><p>Łukasz".encode(), None, "Łukasz"),
        ("<meta charset=utf-16><p>Müller".encode(), None, "Müller"),
        ("<?xml version='1.0' encoding='windows-1251'?><p>Иванов".encode("cp1251"), None, "Иванов"),
        ("<meta charset='no-such'><p>Müller".encode(), None, "Müller"),
        (b"\xef\xbb\xbf<meta charset='latin1'><p>M\xc3\xbcller", None, "Müller"),
        ("\ufeff<p>Müller".encode("utf-16-be"), None, "Müller"),
    ],
)
def test_the_charset_of_a_page(data: bytes, charset: str | None, text: str) -> None:
    assert parse_html(data, charset).strip("\ufeff\n") == text


def test_a_mail_part_that_is_binary_is_refused() -> None:
    with pytest.raises(UnreadableError, match=r"^wrong_suffix$"):
        parse_html(b"\x89PNG\r\n\x1a\n" + bytes(100), "utf-8")


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 6_000 + "deep",
        "<p>" * 60_000 + "deep",
        "<table><tr><td>" * 3_000 + "deep",
        "< " * 100_000 + "deep",
        "<!--" * 50_000 + "-->deep",
        "&" * 100_000 + "deep",
        "<a " + "b='c' " * 50_000 + ">deep</a>",
        "<b " + "x" * 500_000 + ">deep</b>",
    ],
    ids=["div", "p", "table", "brackets", "comments", "ampersands", "attributes", "long name"],
)
def test_hostile_pages_are_read_in_bounded_time(html: str) -> None:
    started = time.process_time()
    assert parse_html(html.encode()).endswith("deep")
    assert time.process_time() - started < 10


TAGS = [
    "<p>", "</p>", "<b>", "</b>", "<table>", "<tr>", "<td>", "</table>", "<li>", "<br>", "<pre>",
    "</pre>", "</div>",
    "<!--", "-->", "<div hidden>", "<script>", "</script>", "<", "&", "&amp;", "word ", "张三", "\n",
]  # fmt: skip
MAY_HIDE = {"<!--", "<div hidden>", "<script>", "<"}


@settings(max_examples=60)
@given(st.lists(st.sampled_from(TAGS), max_size=25))
def test_any_tag_soup_is_text(pieces: list[str]) -> None:
    text = parse_html("".join(pieces).encode())
    assert set(text) <= {"\t"} | set("".join(pieces) + "\n ")
    assert text.count("word") <= pieces.count("word ")
    if not MAY_HIDE & set(pieces):
        assert text.count("word") == pieces.count("word ")
        assert text.count("张三") == pieces.count("张三")


@pytest.mark.parametrize("name", ["a.xhtml", "a.html"])
@pytest.mark.parametrize("empty", ["<title/>", "<script src='a.js' />", "<iframe/>", "<style\n/>"])
def test_xhtml_closes_empty_elements_itself(read: Callable[..., str], name: str, empty: str) -> None:
    page = f'<?xml version="1.0"?><html xmlns="x"><body><p>a</p>{empty}<p>b</p></body></html>'
    assert read(name, page.encode()) == "a\n\nb"


def test_attributes_are_bounded(refusal: Callable[..., Reason], read: Callable[..., str]) -> None:
    """The time to parse them grows with the square of their number."""
    tag = " ".join(f"a{number}=1" for number in range(200_000))
    assert refusal("a.html", f"<p {tag}>Words.".encode()) is Reason.broken
    assert read("a.html", f"<p title='{tag}'>Words.".encode()) == "Words."
    assert read("a.html", ("<p>don't stop " * 20_000).encode()).startswith("don't stop")
