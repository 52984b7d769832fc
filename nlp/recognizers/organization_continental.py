# ruff: noqa: E501  -- patterns read best on one line
"""Companies in French, Spanish, Italian, Portuguese, Dutch, Polish, Serbian and Croatian texts, by their legal form."""

from __future__ import annotations

from collections.abc import Iterator

from lexveil.nlp.letters import LOWER, UPPER
from lexveil.nlp.recognizers.base import CONTINENTAL, LABELED, Finding, RuleRecognizer, find_matches

_WORD = rf"(?:[{UPPER}0-9][\w'’&.-]{{0,40}}|&)"
_NAME = rf"{_WORD}(?: (?:(?:de|du|des|del|della|di|da|do|la|le|et|y|e|i|en|van) ){{0,2}}{_WORD}){{0,5}}"
_FIRST = CONTINENTAL.compile(
    rf"(?<!\w)(?i:la |le |l['’]|les |el |il |a |o |de |het )?((?:SAS|SASU|SARL|EURL|SCI|SNC|SELARL|SCP|GIE|[Ss]ociété(?: (?:anonyme|civile|par actions simplifiée|à responsabilité limitée))?|[Cc]ompagnie|[Ss]ociedad|[Ee]mpresa|[Ss]ocietà|[Dd]itta|[Ss]ociedade|[Ss]półk[aięą]|[Vv]ennootschap|[Ff]irm[ąey]|[Pp]reduzeć[ea]|[Pp]oduzeć[ea]|[Aa]ssociation|[Ss]yndicat|[Bb]anque|[Bb]anco|[Bb]anca|[Bb]ank[ua]?) {_NAME})"
)
# "Sas" without points is also a surname, unless partners stand before it: "Roe & C. Sas".
_LAST = CONTINENTAL.compile(
    rf"(?<![\w.'’&-])({_NAME},? (?:S\.?p\.?A|S\.?r\.?l\.?(?:s)?|S\.?n\.?c|S\.a\.s|(?<=C\. )Sas|S\.?L\.?(?:U)?|S\.?A\.?(?:U)?|S\.? ?Coop|Lda|Ltda|EIRELI|ME|EPP|B\.?V|N\.?V|V\.?O\.?F|[Ss]p\. z o\. ?o|[Ss]p\. ?[jk]|j?\.?d\.?o\.?o|a\.d|d\.d|s\.?r\.?o|a\.s|Kft|Zrt|Oy|AB|A/S|ApS)\b\.?)(?![{LOWER}])"
)


class ContinentalOrganizationRecognizer(RuleRecognizer):
    """Companies whose legal form stands before or after the name."""

    TYPES = ("ORGANIZATION",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the companies in `text`."""
        yield from find_matches(text, "ORGANIZATION", LABELED, _FIRST, _LAST, group=1)
