# ruff: noqa: E501  -- patterns read best on one line
"""Postal addresses in French, Spanish, Italian, Portuguese, Dutch, Polish, Serbian and Croatian texts."""

from __future__ import annotations

from collections.abc import Iterator

from lexveil.nlp.letters import LOWER, UPPER
from lexveil.nlp.recognizers.base import CONTINENTAL, LABELED, SHAPED, Finding, RuleRecognizer, find_matches

_NAME = rf"(?:[dlDL]['’])?[{UPPER}0-9][\w'’.-]*(?: (?:(?:de|du|des|del|della|dello|delle|dei|degli|di|da|do|dos|das|la|las|los|le|les|el|van|von|der|den|et|y|e|i|św\.) ){{0,2}}(?:[dlDL]['’])?[{UPPER}0-9][\w'’.-]*){{0,4}}"
_TOWN = rf"[{UPPER}][\w'’-]+(?:[ -](?:(?:de|du|des|del|di|da|do|dos|la|le|les|el|sur|sous|en|aan|op|van|nad) ){{0,2}}[{UPPER}][\w'’-]+){{0,3}}"
_NUMBER = r"(?:[nN][.°ºo]{0,2}\s?)?\d{1,5}(?: ?(?:bis|ter|quater))?(?: ?[A-Za-z])?(?:[/-]\d{1,4}[A-Za-z]?)?(?![\w/])"
_TAIL = r"(?:,? (?:(?:bât(?:iment)?|esc|appt|apt|piso|portal|int|scala|andar|apto|bloco|m|lok|bus|stan)\.? ?[\w.ºª°-]{1,6}|\d{1,2}\.?[ºª°][ -]?\w{0,6})){0,3}"
_POSTCODE = rf"(?:(?:[A-Z]{{1,2}}-)?\d{{4,5}}(?:-\d{{3}})?|\d{{2}}-\d{{3}}|\d{{4}} ?[A-Z]{{2}}|(?:SE?-)?\d{{3}} \d{{2}}) {_TOWN}"
_CITY = rf"(?:,?\s{{1,3}}(?:à |a |w |te |in )?(?:{_POSTCODE}|(?<=, ){_TOWN}))?"
# The number before the street, and after it.
_STREET_FR = CONTINENTAL.compile(
    rf"(?<![\w.])(?:{_NUMBER},? )?(?i:rue|avenue|av\.|boulevard|bd|bld|place|chemin|allées?|impasse|quai|route|cours|square|passage|sentier|faubourg|lotissement|(?<!la )(?<!sa )(?<!une )(?<!leur )résidence)(?: (?:de la|de l['’]|du|des|de|d['’]|la|le|les))? ?{_NAME}{_TAIL}{_CITY}"
)
_STREET = CONTINENTAL.compile(
    rf"(?<![\w.])(?i:via|viale|v\.le|piazza|piazzale|p\.zza|corso|largo|vicolo|strada|calle|c/|avenida|avda\.?|av\.|plaza|pza\.|paseo|carretera|camino|ronda|travesía|rua|r\.|travessa|praça|alameda|estrada|rodovia|largo|ulicy|ulica|ul\.|alei|aleja|al\.|placu|plac|pl\.|osiedle|os\.|ulici|trg|bulevar|bul\.)"
    rf" (?:(?:de la|de las|de los|del|della|dello|delle|dei|degli|di|da|do|dos|das|de) )?{_NAME},? ?{_NUMBER}{_TAIL}{_CITY}"
)
_STREET_NL = CONTINENTAL.compile(
    rf"(?<![\w.-])[{UPPER}][{LOWER}'’-]*(?:straat|laan|weg|plein|gracht|kade|dijk|singel|steeg|hof|markt|dreef|pad|ulica) {_NUMBER}{_CITY}"
)
_CITY_ONLY = CONTINENTAL.compile(rf"(?<![\w.,/-]){_POSTCODE}(?!\w)")
_HOME = CONTINENTAL.compile(
    rf"\b(?:demeurant|domiciliée?|résidant|habitant|née? (?:le [\w ]{{6,20}} )?|domiciliad[oa]|residente?|vecin[oa] de|nacid[oa]|natural de|nat[oa]|morador[a]?|nascid[oa]|zamieszkał[yaeo]\w{{0,3}}|urodzon[yaeo]\w{{0,3}}|wonende|woonachtig|geboren|rođen[aio]?|nastanjen[aio]?)"
    rf"(?:,? (?:le|el|il|em|w|dnia|op|dana|u|te|in|a|à|en|na|no|de))? ((?:{_TOWN}))"
)


class ContinentalAddressRecognizer(RuleRecognizer):
    """Streets with numbers, postcodes with towns, and towns that the text says somebody lives in or comes from."""

    TYPES = ("ADDRESS",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the addresses in `text`."""
        yield from find_matches(text, "ADDRESS", LABELED, _STREET_FR, _STREET, _STREET_NL)
        yield from find_matches(text, "ADDRESS", SHAPED, _CITY_ONLY)
        yield from find_matches(text, "ADDRESS", SHAPED, _HOME, group=1)
