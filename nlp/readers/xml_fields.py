"""Facts that XML states about a document: kind, court, date, number, title and parties.

Of Akoma Ntoso, its metadata and marked-up parties; of dockets, articles and anything else, elements by their
usual names. The first of a kind counts; parties are collected.
"""

from __future__ import annotations

_SEPARATOR = "}"
_NAMES = {
    "court": "court", "courttype": "court", "docket_num": "number", "docketnumber": "number",
    "case_number": "number", "neutralcitation": "number", "cite": "number", "case_name": "title",
    "article-title": "title", "doctitle": "title", "date_case_filed": "date", "judgmentdate": "date",
}  # fmt: skip
_ATTRIBUTES = {
    "frbrdate": ("date", "date"),
    "frbrnumber": ("number", "value"),
    "frbrname": ("title", "value"),
}
_ROOTS = {"judgment", "act", "bill", "doc", "debate", "amendment", "statement", "officialgazette"}
_LONGEST = 500
_MOST_PARTIES = 50


class FieldCollector:
    """Parser target that collects the facts."""

    def __init__(self) -> None:
        self._found: dict[str, str] = {}
        self._parties: dict[str, None] = {}
        self._path: list[str] = []
        self._field = ""
        self._depth = 0
        self._parts: list[str] = []

    def fields(self) -> dict[str, str]:
        """Return the facts that were found."""
        parties = "; ".join([*self._parties][:_MOST_PARTIES])
        return {**self._found, "parties": parties} if parties else self._found

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Handle the start of an element."""
        name = tag.rpartition(_SEPARATOR)[2].lower()
        parent = self._path[-1] if self._path else ""
        if parent == "akomantoso" and name in _ROOTS:
            self._keep("kind", attributes.get("name", name))
        if name in _ATTRIBUTES:
            field, attribute = _ATTRIBUTES[name]
            self._keep(field, attributes.get(attribute, ""))
        self._path.append(name)
        if not self._field and (field := _find_field(name, parent, "akn" in tag)):
            self._field, self._depth, self._parts = field, len(self._path), []

    def data(self, text: str) -> None:
        """Handle character data."""
        if self._field:
            self._parts.append(text)

    def end(self, tag: str) -> None:
        """Handle the end of an element."""
        if self._field and len(self._path) == self._depth:
            self._keep(self._field, " ".join("".join(self._parts).split()))
            self._field = ""
        self._path.pop()

    def _keep(self, field: str, value: str) -> None:
        if not value or len(value) > _LONGEST:
            return
        if field == "parties":
            self._parties[value] = None
        else:
            self._found.setdefault(field, value)


def _find_field(name: str, parent: str, is_akoma_ntoso: bool) -> str:
    if (name == "party" and is_akoma_ntoso) or (name == "name" and parent == "party"):
        return "parties"
    return _NAMES.get(name, "")
