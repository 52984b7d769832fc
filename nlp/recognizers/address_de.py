# ruff: noqa: E501  -- patterns read best on one line
"""German addresses: streets with house numbers, postcodes with towns, and places by the words before them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.letters import LOWER, UPPER
from lexveil.nlp.recognizers.base import GERMAN, LABELED, SHAPED, Finding, RuleRecognizer, find_matches

_TOWN = rf"[{UPPER}][{LOWER}]{{2,}}(?:-[{UPPER}][{LOWER}]+)*(?: (?:am|an der|an der|im|in der|bei|ob der|vor der|v\. d\.|a\. ?d\.|a\.|i\.) ?[{UPPER}][{LOWER}]+\.?)?(?:-[{UPPER}]\w+)?(?:/[{UPPER}]\w+)?"
_POSTCODE = rf"(?:[DACH]{{1,2}}-)?\d{{4,5}} (?:Bad |Sankt |St\. )?{_TOWN}"
_KIND = r"(?:straße|strasse|str\.|weg|platz|allee|gasse|ring|ufer|damm|chaussee|stieg|steig|pfad|graben|wall|kamp|twiete|promenade|markt|brücke|berg|hof|park|zeile|garten|gärten)"
_NUMBER = r"\d{1,4}(?: ?[a-zA-Z](?![\w]))?(?: ?[-–/] ?\d{1,4}(?: ?[a-z](?!\w))?)?"
_STREET_NAME = (
    rf"(?:(?:[{UPPER}][\w.]*(?:-|[ ])){{0,2}}[{UPPER}][\w.]*?{_KIND}|[{UPPER}][\w.-]*(?:er|-) ?(?:Straße|Strasse|Str\.|Weg|Platz|Allee|Gasse|Ring|Ufer|Damm|Chaussee|Markt)|"
    rf"(?:Am|Im|An der|An den|An dem|Auf der|Auf dem|Auf den|Zum|Zur|Zu den|In der|In den|In dem|Unter den|Hinter der|Hinter dem|Vor dem|Bei der|Beim|Alte|Neue|Große|Kleine|Obere|Untere) [{UPPER}][\w-]+(?: [{UPPER}][\w-]+)?)"
)
_STREET = GERMAN.compile(
    rf"(?<![\w-]){_STREET_NAME} {_NUMBER}(?![\w%,.]*\d)(?:,? (?:\d\.|[IVX]+\.) (?:OG|Stock|Etage))?(?:(?:,|\n| in)? ?{_POSTCODE})?"
)
# Any street, by its number and the postcode after it.
_LINE = GERMAN.compile(
    rf"(?<![\w-])[{UPPER}][\w.-]+(?: [\w.-]+){{0,2}}? {_NUMBER},?[ \n](?:[DACH]{{1,2}}-)?\d{{5}} (?:Bad |Sankt |St\. )?{_TOWN}"
)
_NAMED_STREET = GERMAN.compile(
    rf"(?<![\w-])(?:[{UPPER}][\w.…]*-? ?(?:-)?[Ss]tr(?:aße|asse)(?: \.\.\.| …)?|(?:Bundes|Land|Kreis)straße [A-Z]?\d+|[{UPPER}][{LOWER}]+(?:allee|gasse|chaussee|promenade))(?![\w-])"
)
_NO_STREET = re.compile(
    r"^(?:Ein(?:bahn)|Haupt(?=straße$)|Bundes|Land|Land(?:es)|Kreis|Wohn|Durchgangs|Sack|Zufahrts|Gemeinde|Anlieger|Quer|Neben|Ring|Orts|Innerorts|Privat|Spiel|Forst|Fahr|Auto)?straße$",
    re.IGNORECASE,
)
_CITY = GERMAN.compile(
    rf"(?:(?<=[,(\n])|(?<=[,(\n] )|(?<= in )|(?<= aus )|(?<= nach )|^)((?:[DACH]{{1,2}}-)?\d{{5}} (?:Bad |Sankt |St\. )?{_TOWN})(?! (?:Euro|EUR|DM|Mark|Stück|Personen|Einwohner))"
)
_NO_TOWN = re.compile(
    r"\d (?:Euro|Mark|Stück|Personen|Einwohner|Kilometer|Meter|Stunden|Jahre|Tage|Punkte|Fälle|Mitarbeiter|Quadratmeter|Liter|Tonnen|Aktien|Exemplare|Kunden|Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember)"
)
_BOX = GERMAN.compile(rf"\bPostfach \d[\d ]{{1,8}}(?:, ?{_POSTCODE})?")
_HOME = GERMAN.compile(
    rf"\b(?:[Ww]ohnhaft(?:e[nr]?)?(?: gewesen)?(?: in)?|[Ww]ohn(?:t|te|en|ten) (?:\w+ ){{0,2}}in|[Ww]ohnsitz (?:\w+ )?in|gemeldet in|geboren(?:e[nr]?)? in|gebürtig aus|[Aa]nschrift:|[Ww]ohnort:?|[Gg]eburtsort:?|stammt aus) ((?:Bad |Sankt |St\. )?(?:{_TOWN}|[{UPPER}](?:\.|…)))"
)
_PLACE = GERMAN.compile(
    rf"\b(?:Stadt|Gemeinde|Landkreis|Kreis|Ortsteil|Stadtteil|Markt|Insel|Bezirk|Ortschaft) ((?:Bad |St\. )?{_TOWN}|[{UPPER}](?:\.|…))(?=[\s,.;)]|$)"
)


class GermanAddressRecognizer(RuleRecognizer):
    """German addresses, and towns that the text says somebody lives in or comes from."""

    TYPES = ("ADDRESS", "LOCATION")

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the addresses and towns in `text`."""
        yield from find_matches(text, "ADDRESS", LABELED, _STREET, _LINE, _BOX)
        for match in _NAMED_STREET.finditer(text):
            if not _NO_STREET.match(match.group()):
                yield Finding(match.start(), match.end(), "ADDRESS", SHAPED)
        for match in _CITY.finditer(text):
            if not _NO_TOWN.search(match.group(1)):
                yield Finding(match.start(1), match.end(1), "ADDRESS", LABELED)
        yield from find_matches(text, "LOCATION", LABELED, _HOME, group=1)
        yield from find_matches(text, "LOCATION", SHAPED, _PLACE, group=1)
