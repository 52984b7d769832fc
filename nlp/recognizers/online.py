"""Web addresses, IP addresses and hardware addresses."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from lexveil.nlp.letters import HAN, SPACED_WORD
from lexveil.nlp.recognizers.base import (
    CHECKED,
    LABELED,
    SHAPED,
    SHARED,
    Finding,
    RuleRecognizer,
    find_matches,
)

# The generic top-level domains in common use, and those of the countries.
_TLD = (
    r"(?:com|org|net|edu|gov|mil|int|info|biz|name|pro|aero|coop|museum|jobs|mobi|travel|tel|cat|asia|post|io|ai|app|dev|online|site|shop|"
    r"store|tech|club|xyz|top|live|blog|cloud|news|law|legal|bank|example|a[cdefgilmoqrstuwxz]|b[abdefghijmnorstwyz]|c[acdfghiklmnoruvwxyz]|"
    r"d[ejkmoz]|e[cegrstu]|f[ijkmor]|g[abdefghilmnpqrstuwy]|h[kmnrtu]|i[delmnoqrst]|j[emop]|k[eghimnprwyz]|l[abcikrstuvy]|m[acdeghklmnopqrstuvwxyz]|"
    r"n[acefgilopruz]|om|p[aefghklmnrstwy]|qa|r[eosuw]|s[abcdeghijklmnorstuvxyz]|t[cdfghjklmnortvwz]|u[agksyz]|v[aceginu]|w[fs]|y[et]|z[amw])"
)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PATH = rf"(?::\d{{1,5}})?(?:[/?#][^\s<>\"'{HAN}]*[^\s<>\"'.,;:!?)\]}}{HAN}]|/)?"
_SCHEMED = SHARED.compile(
    rf"(?i)(?<!{SPACED_WORD})(?:https?|ftps?|file|ssh|git|wss?)://[^\s<>\"'{HAN}]*[^\s<>\"'.,;:!?)\]}}{HAN}]|(?<!{SPACED_WORD})www\.{_LABEL}(?:\.{_LABEL}){{1,6}}{_PATH}"
)
_BARE = re.compile(
    rf"(?<![@.{{$-])(?<!{SPACED_WORD})(?:{_LABEL}\.){{1,5}}(?:{_TLD}|COM|ORG|NET)(?!{SPACED_WORD}|-|\.\w|@){_PATH}"
)
_V4 = SHARED.compile(
    rf"(?<![.:-])(?<!{SPACED_WORD})(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){{3}}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:/\d{{1,2}}|:\d{{2,5}})?(?!{SPACED_WORD}|-|\.\d)"
)
_V6 = SHARED.compile(
    rf"(?<![.:])(?<!{SPACED_WORD})(?:[0-9A-Fa-f]{{0,4}}:){{2,7}}[0-9A-Fa-f]{{0,4}}(?:%{SPACED_WORD}+|/\d{{1,3}})?(?!{SPACED_WORD}|:)"
)
_MAC = SHARED.compile(
    rf"(?<![:-])(?<!{SPACED_WORD})(?:[0-9A-Fa-f]{{2}}([:-])(?:[0-9A-Fa-f]{{2}}\1){{4}}[0-9A-Fa-f]{{2}}|(?:[0-9A-Fa-f]{{4}}\.){{2}}[0-9A-Fa-f]{{4}})(?!{SPACED_WORD}|[:-])"
)
# "v. Union" and "S.p.A" look like domains. A real one has a lower-case letter before the dot.
_WEBLIKE = SHARED.compile(r"[a-z0-9]\.[a-z]|(?<=[A-Z]{2})[A-Z]\.(?:COM|ORG|NET)")


# Words before a number with dots that is not an address.
_NOT_BEFORE = (
    "section",
    "clause",
    "version",
    "§",
    "paragraph",
    "para",
    "art.",
    "v.",
    "ziffer",
    "article",
    "rule",
)
_LONGEST = 200
_HOST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")
# Where courts and states publish law.
_LAW = re.compile(
    r"(?i)(?:https?://)?(?:www\.|juris\.|e-justice\.)?(?:bverfg\.de|bundesverfassungsgericht\.de|bundesarbeitsgericht\.de|bag\.de|bsg\.de|bfh\.de|bgh\.de|bpatg\.de|bundesgerichtshof\.de|"
    r"bverwg\.de|bsg\.bund\.de|bundesfinanzhof\.de|gesetze-im-internet\.de|dejure\.org|openjur\.de|curia\.europa\.eu|eur-lex\.europa\.eu|hudoc\.echr\.coe\.int|"
    r"legifrance\.gouv\.fr|courdecassation\.fr|boe\.es|legislation\.gov\.uk|supremecourt\.(?:uk|gov)|law\.cornell\.edu|"
    r"wetten\.overheid\.nl|rechtspraak\.nl|isap\.sejm\.gov\.pl|normattiva\.it|planalto\.gov\.br)(?![\w.-])"
)


class LexveilOnlineRecognizer(RuleRecognizer):
    """URLs and domains, IPv4 and IPv6 addresses, MAC addresses."""

    NAME = "OnlineRecognizer"
    TYPES = ("URL", "IP_ADDRESS")

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the addresses in `text`."""
        yield from (found for found in _find_urls(text) if not _LAW.match(text, found.start))
        for match in _V4.finditer(text):
            before = text[max(0, match.start() - 12) : match.start()].rstrip().lower()
            if not before.endswith(_NOT_BEFORE):
                yield Finding(match.start(), match.end(), "IP_ADDRESS", LABELED)
        if ":" in text:
            for match in _V6.finditer(text):
                if _is_v6(match.group()):
                    yield Finding(match.start(), match.end(), "IP_ADDRESS", LABELED)
        yield from find_matches(text, "IP_ADDRESS", LABELED, _MAC)


def _find_urls(text: str) -> Iterator[Finding]:
    if "://" in text or "www." in text or "WWW." in text:
        yield from find_matches(text, "URL", CHECKED, _SCHEMED)
    for hint in _WEBLIKE.finditer(text):
        yield from _find_domain(text, hint.start())


def _find_domain(text: str, hint: int) -> Iterator[Finding]:
    """Yield the domain whose dot is at `hint` + 1, if there is one."""
    start = hint
    while start and hint - start < _LONGEST and text[start - 1] in _HOST:
        start -= 1
    match = _BARE.match(text, start)
    if match and match.end() > hint + 1:
        yield Finding(match.start(), match.end(), "URL", SHAPED)


def _is_v6(candidate: str) -> bool:
    address = candidate.partition("%")[0].partition("/")[0]
    # "::" alone and the time "10:20:30" are not addresses.
    if sum(map(str.isalnum, address)) < 3 or ("::" not in address and address.count(":") != 7):
        return False
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return True
