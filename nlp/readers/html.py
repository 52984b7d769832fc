"""HTML -> text.

Dropped: scripts, styles, the head, `<noscript>`, `<template>`, and `<del>` (deleted text must not come back).
Hidden elements (`hidden`, `display:none`, `visibility:hidden` in the element's own style) are dropped too:
what the page doesn't show was not put before its reader, and holds mail preheaders, menus and trackers. Style
sheets are not applied, so text that only a sheet hides stays in.
"""

from __future__ import annotations

import re
from collections import Counter

from selectolax.lexbor import LexborHTMLParser, LexborNode

from lexveil.nlp.readers.contract import Reason, UnreadableError
from lexveil.nlp.readers.layout import Layout
from lexveil.nlp.readers.plain import check_text, decode

_DROPPED = {"script", "style", "head", "noscript", "template", "del", "iframe", "object", "svg", "title"}
_LINES = {
    "address", "article", "aside", "body", "button", "caption", "center", "dd", "details", "dialog", "div",
    "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "legend", "li", "main", "nav",
    "option", "section", "select", "summary", "tbody", "textarea", "tfoot", "thead",
}  # fmt: skip
_PARAGRAPHS = {"blockquote", "dl", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "table", "ul"}
_HIDDEN = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)\b", re.IGNORECASE)
_MAY_HIDE = re.compile("hidden|display", re.IGNORECASE)
"""Looked for once a page, as looking at every element's attributes takes half of the time."""
_SPACE = re.compile(r"[ \t\n\r\f]+")
_CHARSET = re.compile(
    rb"""<(?:meta|\?xml)[^>]{0,400}?(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.I
)
_MAX_DEPTH = 20_000
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]*)")
_CLOSED_BY_OTHERS = {
    "area", "base", "body", "br", "col", "colgroup", "dd", "dt", "embed", "frame", "head", "hr", "html",
    "img", "input", "li", "link", "meta", "optgroup", "option", "p", "param", "rp", "rt", "source",
    "tbody", "td", "tfoot", "th", "thead", "tr", "track", "wbr",
}  # fmt: skip
"""Elements that are empty or that the next one of their kind closes: unclosed, they don't nest."""


def read(data: bytes, charset: str | None = None) -> str:
    """The text of an HTML file; `charset` (a mail part's header) is believed before the page's own.

    Raises UnreadableError: wrong_suffix for binary data, broken for absurdly deep nesting.
    """
    check_text(data)
    if charset is None and (found := _CHARSET.search(data[:4096])):
        named = found[1].decode("ascii")
        # A page whose meta element could be read byte by byte isn't in UTF-16, whatever it says.
        charset = None if named.lower().startswith("utf-16") else named
    page = decode(data, charset).replace("\0", "")
    _check_depth(page)
    root = LexborHTMLParser(page).root
    out = Layout()
    if root is not None:
        _walk(root, out, may_hide=_MAY_HIDE.search(page) is not None)
    return out.result()


def _check_depth(page: str) -> None:
    """Raises UnreadableError(broken): parsing time grows with the depth squared, to hours for a small file."""
    depths: Counter[str] = Counter()
    total = 0
    for tag in _TAG.finditer(page):
        name = tag[2].lower()
        if name in _CLOSED_BY_OTHERS or (tag[1] and not depths[name]):
            continue
        step = -1 if tag[1] else 1
        depths[name] += step
        total += step
        if total > _MAX_DEPTH:
            raise UnreadableError(Reason.broken)


def _walk(root: LexborNode, out: Layout, may_hide: bool) -> None:
    """Depth first with a stack of our own: real pages nest deeper than Python's recursion limit."""
    stack: list[LexborNode] = []
    preformatted = 0
    node: LexborNode | None = root
    while node is not None:
        name = node.tag or ""
        if name == "-text":
            _write(node.text_content or "", out, preformatted > 0)
        elif name not in _DROPPED and not (may_hide and _is_hidden(node)):
            _separate(name, out)
            preformatted += name == "pre"
            if node.child is not None:
                stack.append(node)
                node = node.child
                continue
            preformatted -= _leave(name, out)
        while node is not None and node.next is None:
            node = stack.pop() if stack else None
            if node is not None:
                preformatted -= _leave(node.tag or "", out)
        node = node.next if node is not None else None


def _write(text: str, out: Layout, preformatted: bool) -> None:
    if not preformatted:
        text = _SPACE.sub(" ", text)
        if out.at_line_start():
            text = text.removeprefix(" ")
    out.text(text)


def _separate(name: str, out: Layout) -> None:
    if name == "br":
        out.text("\n")
    elif name in ("td", "th"):
        out.open_cell()
    elif name in _LINES:
        out.line()
    elif name in _PARAGRAPHS:
        out.line(2)


def _leave(name: str, out: Layout) -> bool:
    """Closes an element; whether it was a `<pre>`."""
    if name in ("td", "th"):
        out.close_cell()
    elif name == "tr":
        out.close_row()
    elif name != "br":
        _separate(name, out)
    return name == "pre"


def _is_hidden(node: LexborNode) -> bool:
    attributes = node.attributes
    return bool(attributes) and (
        "hidden" in attributes or bool(_HIDDEN.search(attributes.get("style") or ""))
    )
