# ruff: noqa: E501  -- patterns read best on one line
"""German kin, ages, dates of birth, and dates as German courts write them ("13. 7. 2017")."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.letters import UPPER
from lexveil.nlp.recognizers.base import GERMAN, LABELED, SHAPED, Finding, RuleRecognizer

_RELATION = (
    r"(?:(?:Schwieger|Stief|Halb|Groß|Ur(?:groß)?|Adoptiv|Pflege|Zwillings|Ehe)?(?:vaters?|mutter|eltern|sohn(?:es|s)?|söhnen?|tochter|töchtern?|kind(?:er|ern|es)?|bruders?|brüdern?|schwestern?|frau|mann(?:es|s)?|gatt(?:e|in|en)|enkel(?:in|kind|kinder|s)?)|"
    r"Geschwistern?|Onkels?|Tante|Neffen?|Nichten?|Cousins?|Cousine|Vetter|Schwager|Schwägerin|Lebensgefährt(?:e|in|en)|Lebenspartner(?:in|s)?|Verlobte[rn]?|Witwer?|Partnerin|Angehörige[rn]?)"
)
_OWN = r"(?:[Ss]ein|[Ii]hr|[Mm]ein|[Uu]nser|[Dd]essen|[Dd]eren)(?:e[rmns]?)?"
_ADJECTIVE = r"(?:(?:früher|geschieden|verstorben|jung|alt|jünger|älter|ältest|jüngst|leiblich|minderjährig|volljährig|gemeinsam|damalig|ehemalig|getrennt lebend|schwerbehindert|neugeboren|erst|zweit|dritt|beid)(?:e[rmns]?) )*"
_WHO = r"(?:Kläger|Beklagte|Angeklagte|Antragsteller|Antragsgegner|Beschwerdeführer|Geschädigte|Nebenkläger|Zeug|Erblasser|Verstorbene|Betroffene|Beschuldigte|Patient|Versicherte|Beigeladene)\w*"
_KIN = GERMAN.compile(
    rf"\b{_OWN} ({_ADJECTIVE}(?i:{_RELATION})\b)|\b(?:[Dd]e[rmns]|[Dd]ie|[Dd]as|[Vv]om|[Zz]um|[Zz]ur|[Aa]ls|[Bb]eim|[Ee]ine?[rmns]?) ({_ADJECTIVE}(?i:{_RELATION})\b)(?= (?:des|der) (?:{_WHO}|Herrn|Frau)|,? (?:Herrn?|Frau|namens) )"
)
_KIN_OF = GERMAN.compile(
    rf"\b((?:Schwieger|Stief|Groß|Ehe)?(?i:vater|mutter|eltern|sohn|söhne|tochter|töchter|kind|kinder|bruder|schwester|frau|mann)|Geschwister|Lebensgefährt(?:e|in)|Witwer?|Onkel|Tante|Neffe|Nichte)(?= (?:des|der) (?:{_WHO}|Herrn|Frau))"
)
_MONTH = r"(?:Januar|Jänner|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember|Jan\.|Feb\.|Mrz\.|Apr\.|Jun\.|Jul\.|Aug\.|Sept?\.|Okt\.|Nov\.|Dez\.)"
_YEAR = r"(?:1[6-9]|20)\d\d"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])\."
_DATE = rf"(?:{_DAY} ?{_MONTH}(?: {_YEAR})?|{_DAY} ?(?:0?[1-9]|1[0-2])\. ?(?:{_YEAR}|\d\d(?!\d))|{_MONTH} {_YEAR})"
_ANY_DATE = GERMAN.compile(rf"(?<![\w.§]){_DATE}(?!\w)")
_YEAR_ALONE = GERMAN.compile(
    rf"\b(?:[Ii]m Jahre?|[Ss]eit|[Aa]b|[Bb]is|[Aa]nfang|[Ee]nde|[Mm]itte|[Jj]ahr(?:e|es)?|[Ss]ommer|[Ww]inter|[Hh]erbst|[Ff]rühjahr|[Kk]alenderjahre?) ({_YEAR}(?:(?:/| und | bis |-){_YEAR})*)(?![\w/.]\d|/\d|\d)"
)
_BORN = GERMAN.compile(
    rf"(?:\b[Gg]eb(?:oren(?:e[rn]?)?|\.)?(?: am)?|[Gg]eburts(?:datum|tag)(?: ist)?:?|\*)[ ]?({_DATE}|{_YEAR})|\b[Aa]m ({_DATE})(?= (?:in [{UPPER}][\w. -]{{1,30}}? )?gebor)|\bJahrgang ({_YEAR})|({_YEAR})(?= geboren)|(?<=[a-zäöüß]), ({_DATE})(?=, (?:von|aus|ledig|verh|gesch|verw|wohnhaft|whft|Staatsang|deutsch))|\b(?:geboren|geb\.) in [{UPPER}][\w.-]+ am ({_DATE})"
)
_AGE = GERMAN.compile(
    r"(?<![\w.,])(\d{1,3}(?:[- ]?jährige?[rmns]?| Jahre(?:n)? alt\w*))|\bim Alter von ((?:ca\. |etwa |rund )?\d{1,3} Jahren)|\b(?:Alter|Lebensalter): ?(\d{1,3})|(\d{1,2} Monate alt\w*)"
)
_THRESHOLD = re.compile(
    r"(?:unter|über|mindestens|höchstens|ab|als|bis zu|Vollendung|noch nicht|je|pro|eine[rmns]?|nach)(?: \w+)? $"
)


class GermanLifeRecognizer(RuleRecognizer):
    """Members of families, ages, dates of birth and other dates in German texts."""

    TYPES = ("FAMILY_MEMBER", "AGE", "BIRTH_DATE", "DATE")

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the members of families, ages and dates in `text`."""
        for pattern, entity_type, score in (
            (_KIN, "FAMILY_MEMBER", LABELED),
            (_KIN_OF, "FAMILY_MEMBER", LABELED),
            (_BORN, "BIRTH_DATE", LABELED + 0.05),
            (_ANY_DATE, "DATE", LABELED),
            (_YEAR_ALONE, "DATE", SHAPED),
        ):
            for match in pattern.finditer(text):
                group = match.lastindex or 0
                yield Finding(match.start(group), match.end(group), entity_type, score)
        for match in _AGE.finditer(text):
            if not _THRESHOLD.search(text[max(0, match.start() - 24) : match.start()]):
                group = match.lastindex or 0
                yield Finding(match.start(group), match.end(group), "AGE", LABELED)
