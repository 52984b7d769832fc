# ruff: noqa: E501  -- patterns read best on one line
"""Postal addresses in English texts: streets, post office boxes, postcodes."""

from __future__ import annotations

from collections.abc import Iterator

from lexveil.nlp.letters import UPPER
from lexveil.nlp.recognizers.base import ENGLISH, LABELED, SHAPED, Finding, RuleRecognizer, find_matches
from lexveil.nlp.recognizers.organization import is_specific

_STATE = (
    r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY]|"
    r"Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho|Illinois|Indiana|Iowa|"
    r"Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska|Nevada|"
    r"New Hampshire|New Jersey|New Mexico|New York|North Carolina|North Dakota|Ohio|Oklahoma|Oregon|Pennsylvania|Rhode Island|"
    r"South Carolina|South Dakota|Tennessee|Texas|Utah|Vermont|Virginia|Washington|West Virginia|Wisconsin|Wyoming)"
)
_STREET_TYPE = (
    r"(?:Street|Avenue|Road|Boulevard|Lane|Drive|Court|Place|Square|Terrace|Way|Parkway|Highway|Circle|Close|Crescent|Gardens|Grove|"
    r"Mews|Row|Walk|Hill|Plaza|Turnpike|Trail|Broadway|Alley|Wharf|Quay|Route|STREET|AVENUE|ROAD|BOULEVARD|LANE|DRIVE|PARKWAY|SUITE)"
)
_STREET_SHORT = r"(?:St|Ave|Rd|Blvd|Ln|Dr|Ct|Pl|Sq|Pkwy|Hwy|Cir)"
_POSTCODE_UK = r"[A-Z]{1,2}\d[A-Z\d]? ?\d[ABD-HJLNP-UW-Z]{2}"
_PLACE = rf"[{UPPER}][\w'-]+(?: (?:of |upon |on |the |de |la )?[{UPPER}][\w'-]+){{0,3}}"
_UNIT = r"(?:(?:Suite|Ste|Apt|Apartment|Unit|Floor|Flat|Room|Rm|Building|Bldg|No|#)\.? ?#?[\w-]{1,6}|\d{1,3}(?:st|nd|rd|th) Floor)"
_TAIL = (
    rf"(?:,?\s{{1,2}}{_UNIT})?(?:,?\s{{1,3}}{_PLACE}){{0,3}}"
    rf"(?:,?\s{{1,3}}(?:{_STATE},?\s{{1,2}}\d{{5}}(?:-\d{{4}})?|{_POSTCODE_UK}|{_STATE}\b))?"
)
# The period after a whole word ends the sentence. After an abbreviation it doesn't, if a town goes on with its
# state or postcode: "100 Main St. Roeville, IL", not "12 High St. Ada Roe saw it".
_STREET_END = rf"(?:{_STREET_TYPE}\b|{_STREET_SHORT}\b(?:\.(?! {_PLACE}(?!,|[ \n]\d|[ \n]{_STATE}\b|[ \n]{_POSTCODE_UK})))?)"
_STREET = ENGLISH.compile(
    rf"(?<![\w.$§-])(?:{_UNIT},? )?\d{{1,5}}[A-Za-z]?(?:-\d{{1,5}})? (?:(?:North|South|East|West|[NSEW]|[NS][EW])\.? )?"
    rf"(?:[{UPPER}][\w'.-]*|\d{{1,3}}(?:st|nd|rd|th))(?: [{UPPER}][\w'-]*){{0,3}}? {_STREET_END}(?!-)(?: (?:[NSEW]|[NS][EW])\b\.?)?"
    rf"{_TAIL}"
)
# "of 9 Quarry Bank, Lymm": a house without a word for its street; "Door No. 14/2, Big Street".
_HOUSE = ENGLISH.compile(
    rf"(?:, of|[Aa]ddress:|ADDRESS:|residing at|resides at|lives at|lived at) (\d{{1,4}}[A-Za-z]? (?!(?:January|February|March|April|May|June|July|August|September|October|November|December)\b){_PLACE}, {_PLACE})(?![\w:])"
)
_DOOR = ENGLISH.compile(
    rf"\b((?:Door|House|Flat|Plot|Qr|Quarter|H\.|D\.) ?[Nn]o\.? ?\d[\w/-]*(?:,? {_PLACE}){{1,5}})"
)
# India: "r/o Vill. Roepur, P.S. Poegarh".
_VILLAGE = ENGLISH.compile(
    rf"\b[RrSs]/[Oo]\.? ((?:(?:[Vv]ill(?:age|\.)|[Mm]ohalla|[Mm]oh\.|P\.? ?[OS]\.|[Tt]eh(?:sil|\.)|[Dd]istt?(?:rict|\.)?)\.? {_PLACE}(?:, )?){{1,6}})(?<! )"
)
_BOX = ENGLISH.compile(rf"\bP\.? ?O\.? ?Box \d{{1,7}}{_TAIL}|\bPostfach \d[\d ]{{1,8}}")
_LINE = ENGLISH.compile(
    rf"(?<![\w.$§-])(?:{_UNIT}, )?\d{{1,6}}[A-Za-z]? [{UPPER}][\w'.-]*(?: [{UPPER}][\w'.-]*){{0,4}}(?:,? {_UNIT})?,\s{{1,3}}{_PLACE}(?:, {_PLACE})?,? "
    rf"(?:(?:{_STATE}|[A-Z]{{2}}),? \d{{5}}(?:-\d{{4}})?|{_POSTCODE_UK}|\d{{4,6}})(?!\w)"
)
_ZIP = r"\d{5}(?:-\d{4})?(?!\w)"
_CITY_ZIP = ENGLISH.compile(rf"(?<!\w){_PLACE}(?:, {_PLACE})?,? {_STATE},? {_ZIP}", core=rf"(?<!\d){_ZIP}")
_UK_POSTCODE = ENGLISH.compile(rf"(?<!\w)(?:{_PLACE},? )?{_POSTCODE_UK}(?!\w)", core=rf"{_POSTCODE_UK}(?!\w)")
_GERMAN = ENGLISH.compile(
    rf"(?<!\w)(?:[{UPPER}][\w-]+(?:straße|strasse|str\.|weg|platz|allee|gasse|ring|ufer|damm)|[{UPPER}][\w-]+er (?:Straße|Strasse|Str\.|Weg|Platz|Allee))"
    rf" \d{{1,4}}[a-z]?(?:,? (?:D-)?\d{{5}} [{UPPER}][\w-]+(?: am [{UPPER}]\w+)?)?|(?<![\w.,])(?:D-|A-)?\d{{5}} [{UPPER}][a-zäöüß]{{3,}}(?= am | \(|,|\.|\n|$)"
)
_RESIDES = ENGLISH.compile(
    rf"\b(?:resid(?:es|ed|ing|ent)|live[sd]?|living|domiciled|located|situated|born|detained|works?|working|worked|arrested|moved|living)"
    rf"(?: [\w ]{{0,20}})? (?:in|at|near|to|of) ((?:the (?:city|town|village|district|municipality|province) of )?{_PLACE}(?:, {_PLACE})?)"
)
_NAMED_PLACE = ENGLISH.compile(
    rf"\b((?:{_PLACE}) (?:[Vv]illage|[Tt]own|[Dd]istrict|[Pp]rovince|[Cc]ounty|[Mm]unicipality|[Nn]eighbourhood))\b(?<!Police District)(?! (?:Court|court|Council|Attorney|Prosecutor|Police|Inspectorate|Governor|Administration|Judge|Registry))"
    rf"|\b((?:village|town|city|district|province|municipality|suburb|hamlet) of {_PLACE})"
)


class EnglishAddressRecognizer(RuleRecognizer):
    """Postal addresses in English texts, and places that the text says somebody lives in or comes from."""

    NAME = "AddressRecognizer"
    TYPES = ("ADDRESS",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the addresses in `text`."""
        yield from find_matches(text, "ADDRESS", LABELED, _STREET, _BOX, _LINE, _CITY_ZIP)
        yield from find_matches(text, "ADDRESS", LABELED, _HOUSE, _DOOR, _VILLAGE, group=1)
        yield from find_matches(text, "ADDRESS", SHAPED, _UK_POSTCODE, _GERMAN)
        for pattern in (_RESIDES, _NAMED_PLACE):
            for match in pattern.finditer(text):
                group = match.lastindex or 1
                at_home = match.group().startswith(("live", "resid", "born"))
                if at_home or is_specific(match.group(group)):
                    yield Finding(match.start(group), match.end(group), "ADDRESS", SHAPED)
