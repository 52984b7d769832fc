"""HTML to text.

Dropped are scripts, styles, the head, `<noscript>`, `<template>`, and text that is struck out (`<del>`,
`<s>`, `<strike>`, or `line-through` in the `style` attribute): deleted text must not reappear. Of a saved
form, the typed values are text. XHTML closes elements as `<title/>`, which HTML would take for a start.

Hidden elements (`hidden`, or `display:none` or `visibility:hidden` in the `style` attribute) are dropped too:
text that a page does not show was not presented to its reader: mail preheaders, menus, trackers. Style sheets
are not applied, so text that only a style sheet hides is kept.
"""

from __future__ import annotations

import re
from collections import Counter

from selectolax.lexbor import LexborHTMLParser, LexborNode

from lexveil.nlp.readers.contract import Reason, UnreadableError
from lexveil.nlp.readers.layout import TextLayout
from lexveil.nlp.readers.plain import check_is_text, decode

_DROPPED = {
    "script", "style", "head", "noscript", "template", "del", "s", "strike", "iframe", "object", "svg",
    "title",
}  # fmt: skip
_TYPED = {"", "text", "email", "tel", "number", "date", "url", "search"}  # input types whose value is shown
_LINES = {
    "address", "article", "aside", "body", "button", "caption", "center", "dd", "details", "dialog", "div",
    "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "legend", "li", "main", "nav",
    "option", "section", "select", "summary", "tbody", "textarea", "tfoot", "thead",
}  # fmt: skip
_PARAGRAPHS = {"blockquote", "dl", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "table", "ul"}
_HIDDEN = re.compile(
    r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden|text-decoration(?:-line)?\s*:[^;]*line-through)\b",
    re.I,
)
_MAY_HIDE = re.compile("hidden|display|line-through", re.IGNORECASE)
"""Searched once per page, because inspecting the attributes of every element takes half of the time."""
_SPACE = re.compile(r"[ \t\n\r\f]+")
_CHARSET = re.compile(
    rb"""<(?:meta|\?xml)[^>]{0,400}?(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.I
)
_SELF_CLOSED = re.compile(
    r"<(title|script|style|iframe|noscript|textarea|template|object|div|p|span|a|b|i|td)(\s[^<>]*)?/>", re.I
)
_IS_XHTML = re.compile(r"<\?xml|<!DOCTYPE[^>]{0,200}XHTML|xmlns\s*=", re.IGNORECASE)
_CLOSING_TAG = re.compile(
    r"</(?:p|div|span|b|i|em|strong|h[1-6]|li|td|body|html|a|blockquote|center|font|u)>", re.I
)
_HEAD = 4096
_LONG, _MAX_ATTRIBUTES = 20_000, 20_000
_LONG_TAG = re.compile(r"<[a-zA-Z](?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_MAX_DEPTH = 20_000
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]*)")
_CLOSED_BY_OTHERS = {
    "area", "base", "body", "br", "col", "colgroup", "dd", "dt", "embed", "frame", "head", "hr", "html",
    "img", "input", "li", "link", "meta", "optgroup", "option", "p", "param", "rp", "rt", "source",
    "tbody", "td", "tfoot", "th", "thead", "tr", "track", "wbr",
}  # fmt: skip
"""Elements that are empty, or closed by the next one of their kind: left open, they do not nest."""


def read(data: bytes, charset: str | None = None) -> str:
    """Read the text of an HTML file.

    Args:
        data: Content of the file.
        charset: Charset from the header of a mail part, which takes precedence over the page's own.

    Raises:
        UnreadableError: wrong_suffix for binary data, broken for excessively deep nesting.
    """
    check_is_text(data)
    if charset is None and (match := _CHARSET.search(data[:_HEAD])):
        named = match[1].decode("ascii")
        # A page whose meta element is legible as single bytes is not in UTF-16, whatever it declares.
        charset = None if named.lower().startswith("utf-16") else named
    page = decode(data, charset).replace("\0", "")
    if _IS_XHTML.search(page[:_HEAD]):
        page = _SELF_CLOSED.sub(lambda tag: f"<{tag[1]}{tag[2] or ''}></{tag[1]}>", page)
    return _render(page)


def strip_markup(text: str) -> str:
    """Return the text of a fragment of HTML, as databases of courts store it; any other text as it is.

    Raises:
        UnreadableError: broken, for excessively deep nesting.
    """
    return _render(text.replace("\0", "")) if _CLOSING_TAG.search(text) else text


def _render(page: str) -> str:
    _check_depth(page)
    _check_attributes(page)
    root = LexborHTMLParser(page).root
    out = TextLayout()
    if root is not None:
        _walk(root, out, may_hide=_MAY_HIDE.search(page) is not None)
    return out.getvalue()


def _check_depth(page: str) -> None:
    """Check that elements are not nested too deeply.

    The time to parse grows with the square of the depth, to hours for a small file.

    Raises:
        UnreadableError: broken.
    """
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


def _check_attributes(page: str) -> None:
    """Check that no tag has too many attributes: the time to parse it grows with the square of their number.

    Raises:
        UnreadableError: broken.
    """
    for tag in _LONG_TAG.finditer(page) if len(page) > _LONG else ():
        if len(tag[0]) > _LONG:
            names = {attribute.partition("=")[0] for attribute in _QUOTED.sub("", tag[0]).split()}
            if len(names) > _MAX_ATTRIBUTES:
                raise UnreadableError(Reason.broken)


def _walk(root: LexborNode, out: TextLayout, may_hide: bool) -> None:
    """Walk depth first with an explicit stack: real pages nest deeper than Python's recursion limit."""
    stack: list[LexborNode] = []
    preformatted = 0
    node: LexborNode | None = root
    while node is not None:
        name = node.tag or ""
        if name == "-text":
            _write(node.text_content or "", out, preformatted > 0)
        elif name not in _DROPPED and not (may_hide and _is_hidden(node)):
            _separate(name, out)
            if name == "input":
                _write_value(node, out)
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


def _write(text: str, out: TextLayout, preformatted: bool) -> None:
    if not preformatted:
        text = _SPACE.sub(" ", text)
        if out.is_at_line_start():
            text = text.removeprefix(" ")
    out.write(text)


def _write_value(node: LexborNode, out: TextLayout) -> None:
    """Write the value typed into a field."""
    attributes = node.attributes
    if (attributes.get("type") or "").lower() in _TYPED:
        _write(f" {attributes.get('value') or ''} ", out, preformatted=False)


def _separate(name: str, out: TextLayout) -> None:
    if name == "br":
        out.write("\n")
    elif name in ("td", "th"):
        out.open_cell()
    elif name in _LINES:
        out.break_line()
    elif name in _PARAGRAPHS:
        out.break_line(2)


def _leave(name: str, out: TextLayout) -> bool:
    """Close an element and return True if it was a `<pre>`."""
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
