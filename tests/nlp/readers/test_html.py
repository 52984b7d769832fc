from __future__ import annotations

from collections.abc import Callable

import pytest

from lexveil.nlp.readers import Reason


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


def test_absurd_nesting_is_text_or_broken(read: Callable[..., str], refusal: Callable[..., Reason]) -> None:
    assert read("a.html", b"<div>" * 5000 + b"deep") == "deep"
    assert refusal("a.html", b"<div>" * 1_000_000 + b"deep" + b"</div>" * 1_000_000) is Reason.broken
    unclosed = read("a.html", b"<p>One<br>Two<li>Three" * 30_000)
    assert unclosed.count("Three") == 30_000
    assert refusal("a.html", b"<html><body></body></html>") is Reason.empty
