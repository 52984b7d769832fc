# ruff: noqa: E501  -- patterns read best on one line
"""Postal addresses: streets, boxes, postcodes, Chinese districts and doors."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nlp.recognizers.base import HAN, LABELLED, SHAPED, UPPER, Found, RuleRecognizer

_STATE = (
    r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY]|"
    r"Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho|Illinois|Indiana|Iowa|"
    r"Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska|Nevada|"
    r"New Hampshire|New Jersey|New Mexico|New York|North Carolina|North Dakota|Ohio|Oklahoma|Oregon|Pennsylvania|Rhode Island|"
    r"South Carolina|South Dakota|Tennessee|Texas|Utah|Vermont|Virginia|Washington|West Virginia|Wisconsin|Wyoming)"
)
_STREET_TYPE = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Square|Sq|Terrace|Way|Parkway|Pkwy|Highway|"
    r"Hwy|Circle|Cir|Close|Crescent|Gardens|Grove|Mews|Row|Walk|Hill|Plaza|Turnpike|Trail|Broadway|Alley|Wharf|Quay|Route|"
    r"STREET|AVENUE|ROAD|BOULEVARD|LANE|DRIVE|PARKWAY|SUITE)"
)
_POSTCODE_UK = r"[A-Z]{1,2}\d[A-Z\d]? ?\d[ABD-HJLNP-UW-Z]{2}"
_PLACE = rf"[{UPPER}][\w'-]+(?: (?:of |upon |on |the |de |la )?[{UPPER}][\w'-]+){{0,3}}"
_UNIT = r"(?:(?:Suite|Ste|Apt|Apartment|Unit|Floor|Flat|Room|Rm|Building|Bldg|No|#)\.? ?#?[\w-]{1,6}|\d{1,3}(?:st|nd|rd|th) Floor)"
_TAIL = (
    rf"(?:,?\s{{1,2}}{_UNIT})?(?:,?\s{{1,3}}{_PLACE}){{0,3}}"
    rf"(?:,?\s{{1,3}}(?:{_STATE},?\s{{1,2}}\d{{5}}(?:-\d{{4}})?|{_POSTCODE_UK}|{_STATE}\b))?"
)
_STREET = re.compile(
    rf"(?<![\w.$§-])(?:{_UNIT},? )?\d{{1,5}}[A-Za-z]?(?:-\d{{1,5}})? (?:(?:North|South|East|West|[NSEW]|[NS][EW])\.? )?"
    rf"(?:[{UPPER}][\w'.-]*|\d{{1,3}}(?:st|nd|rd|th))(?: [{UPPER}][\w'-]*){{0,3}}? {_STREET_TYPE}\b\.?(?!-)(?: (?:[NSEW]|[NS][EW])\b\.?)?"
    rf"{_TAIL}"
)
_BOX = re.compile(rf"\bP\.? ?O\.? ?Box \d{{1,7}}{_TAIL}|\bPostfach \d[\d ]{{1,8}}")
_LINE = re.compile(
    rf"(?<![\w.$§-])(?:{_UNIT}, )?\d{{1,6}}[A-Za-z]? [{UPPER}][\w'.-]*(?: [{UPPER}][\w'.-]*){{0,4}}(?:,? {_UNIT})?,\s{{1,3}}{_PLACE}(?:, {_PLACE})?,? "
    rf"(?:(?:{_STATE}|[A-Z]{{2}}),? \d{{5}}(?:-\d{{4}})?|{_POSTCODE_UK}|\d{{4,6}})(?!\w)"
)
_CITY_ZIP = re.compile(rf"(?<!\w){_PLACE}(?:, {_PLACE})?,? {_STATE},? \d{{5}}(?:-\d{{4}})?(?!\w)")
_UK_POSTCODE = re.compile(rf"(?<!\w)(?:{_PLACE},? )?{_POSTCODE_UK}(?!\w)")
_GERMAN = re.compile(
    rf"(?<!\w)(?:[{UPPER}][\w-]+(?:straße|strasse|str\.|weg|platz|allee|gasse|ring|ufer|damm)|[{UPPER}][\w-]+er (?:Straße|Strasse|Str\.|Weg|Platz|Allee))"
    rf" \d{{1,4}}[a-z]?(?:,? (?:D-)?\d{{5}} [{UPPER}][\w-]+(?: am [{UPPER}]\w+)?)?|(?<![\w.,])(?:D-|A-)?\d{{5}} [{UPPER}][a-zäöüß]{{3,}}(?= am | \(|,|\.|\n|$)"
)
_RESIDES = re.compile(
    rf"\b(?:resid(?:es|ed|ing|ent)|live[sd]?|living|domiciled|located|situated|born|detained|works?|working|worked|arrested|moved|living)"
    rf"(?: [\w ]{{0,20}})? (?:in|at|near|to|of) ((?:the (?:city|town|village|district|municipality|province) of )?{_PLACE}(?:, {_PLACE})?)"
)
_NAMED_PLACE = re.compile(
    rf"\b((?:{_PLACE}) (?:[Vv]illage|[Tt]own|[Dd]istrict|[Pp]rovince|[Cc]ounty|[Mm]unicipality|[Nn]eighbourhood))\b(?! (?:Court|court|Council|Attorney))"
    rf"|\b((?:village|town|city|district|province|municipality|suburb|hamlet) of {_PLACE})"
)
_CHINESE = re.compile(
    rf"(?:[{HAN}]{{2,9}}?(?:省|自治区|市|自治州|县|区|镇|乡|街道|村|屯|大道|路|街|巷|弄|胡同|小区)|[{HAN}]{{0,6}}?[\dA-Za-z一二三四五六七八九十]{{1,5}}-?\d{{0,5}}(?:组|队|栋|幢|座|号楼|号院|单元|室|号|楼|层|弄)(?:附\d+号?)?){{2,10}}"
)
_HOME_ZH = re.compile(
    rf"(?:住址?|住所地?|户籍所在地|户籍地|现住|居住地|暂住地?|出生地|籍贯|家住|地址)(?:为|是|:|在|于)?\s?(?!所|址)([{HAN}\dA-Za-z-]{{2,40}}?)(?=[,。;、()\s]|$)"
)
_CUT_ZH = re.compile(
    r"户籍所在地|户籍地|现住|居住地|暂住地?|居住于|居住在|住所地|住址|住|出生地|籍贯|位于|出生于|出生|生于|在|至|到|从|由|往|经|将|于|窜至|来到|行驶|沿|途经|的|与|和|系|向|被|因|对|民族|汉族|族|日|年|月"
)
_PUBLIC_ZH = re.compile(r"[人中高级]?民?(?:法院|检察院)|公安|看守所|监狱|司法局|派出所|政府|人民")


class AddressRecognizer(RuleRecognizer):
    TYPES = ("ADDRESS",)

    def find(self, text: str) -> Iterator[Found]:
        for pattern, score in (
            (_STREET, LABELLED),
            (_BOX, LABELLED),
            (_LINE, LABELLED),
            (_CITY_ZIP, LABELLED),
            (_UK_POSTCODE, SHAPED),
            (_GERMAN, SHAPED),
        ):
            for match in pattern.finditer(text):
                yield Found(match.start(), match.end(), "ADDRESS", score)
        for pattern in (_RESIDES, _NAMED_PLACE):
            for match in pattern.finditer(text):
                group = match.lastindex or 1
                if _tells(match.group(group)) or match.group().startswith(("live", "resid", "born")):
                    yield Found(match.start(group), match.end(group), "ADDRESS", SHAPED)


def _tells(place: str) -> bool:
    from nlp.recognizers.vocabulary import JURISDICTIONS, LEGAL_WORDS

    words = re.findall(r"[^\W\d_]+", place)
    return place.lower() not in JURISDICTIONS and any(
        w[0].isupper() and w.lower() not in LEGAL_WORDS for w in words
    )


class ChineseAddressRecognizer(RuleRecognizer):
    TYPES = ("ADDRESS",)

    def find(self, text: str) -> Iterator[Found]:
        for match in _HOME_ZH.finditer(text):
            if not re.search(r"[省市县区旗镇乡村屯路街巷号]", match.group(1)) or "没有" in match.group(1):
                continue
            yield Found(match.start(1), match.end(1), "ADDRESS", LABELLED)
        for match in _CHINESE.finditer(text):
            start = match.start()
            for cut in _CUT_ZH.finditer(text, start, match.end()):
                start = cut.end()
            if match.end() - start >= 4 and not _PUBLIC_ZH.match(text, match.end()):
                yield Found(start, match.end(), "ADDRESS", SHAPED)
