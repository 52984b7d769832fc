# ruff: noqa: E501  -- patterns read best on one line
"""Bank accounts and payment cards."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.letters import SPACED_WORD
from lexveil.nlp.recognizers.base import (
    CHECKED,
    LABELED,
    SHAPED,
    SHARED,
    Finding,
    RuleRecognizer,
    find_matches,
)

# A line end may cut a number between its groups.
_IBAN = SHARED.compile(
    rf"(?<!{SPACED_WORD})(?:[A-Z]{{2}}\d{{2}}(?:[ -]?\n?[A-Z\d]{{4}}){{2,7}}(?:[ -]?\n?[A-Z\d]{{1,4}})?|[a-z]{{2}}\d{{2}}[a-z\d]{{11,30}})(?!{SPACED_WORD})"
)
# How long an IBAN of a country is (ISO 13616): with a wrong check digit it is still somebody's account.
_IBAN_LENGTHS = {
    country: length
    for length, countries in (
        (15, "NO"), (16, "BE"), (18, "DK FO FI GL NL"), (19, "MK SI"), (20, "AT BA EE KZ LT LU XK"),
        (21, "CH HR LI LV"), (22, "BG DE GB GE IE ME RS VA"), (23, "AE IL"), (24, "AD CZ ES MD PK RO SA SE SK TN VG"),
        (25, "PT"), (26, "IS TR"), (27, "FR GR IT MC SM"), (28, "AL AZ CY HU LB PL"), (29, "BR EG QA UA"), (31, "MT"),
    )
    for country in countries.split()
}  # fmt: skip
_CARD_LABELED = SHARED.compile(
    r"(?i:\b(?:card|carte|karte|kreditkarte|tarjeta|carta|kaart|kart[ay]|cartão|visa|mastercard|amex)\b[^\d\n]{0,25}?)(?<!\d)((?:\d{4}[ -]?){3}\d{4}|\d{4}[ -]?\d{6}[ -]?\d{5})(?![\w-])"
)
_CARD = SHARED.compile(rf"(?<![.-])(?<!{SPACED_WORD})\d(?:[ -]?\d){{11,18}}(?!{SPACED_WORD}|-)")
_BROKEN_CARD = SHARED.compile(r"(?<![\w.-])\d{4}(?:[ -]?\n?\d{4}){3}(?![\w-])")
_MASKED_CARD = SHARED.compile(r"(?<![\w-])(?:[xX*]{4}[ -]?){3}\d{4}(?!\w)")
_LABELED = SHARED.compile(
    r"(?i)\b(?:(?:bank |checking |savings |current |deposit |escrow |client )?(?:account|acct|a/c)|sort code|routing|ABA|SWIFT|BIC|IBAN"
    r"|(?:credit|debit) card|Konto|Kontonummer|wire)\b\s*(?:transit )?(?:\(?(?:no|nos|number|num|nr|code|ending in|#)\b\.?\)?)?"
    r"\s*(?:is|was|of|:|#|=|ending in)?\s*((?=[A-Z\d -]*\d)(?:[A-Z]{4}[A-Z]{2}[A-Z\d]{2,5}|[\dX*][\dX* -]{3,28}[\dX*]|(?<=ending in )\d{4}))(?!\w)"
)
_LABELED_ZH = SHARED.compile(
    r"(?:账号|帐号|账户|帐户|卡号|银行卡|(?:农行|工行|建行|中行|交行|招行|邮储|储蓄|信用|借记)卡|存折|尾号)[为是:,\s(]*(?:尾号)?(?:为|是)?([\d*xX][\d*xX -]{2,24}[\d*xX])"
)


def iban_is_valid(iban: str) -> bool:
    """Return True if the check digits are those of ISO 13616.

    With the first four characters at the end and the letters as 10 to 35, the number modulo 97 is 1.
    """
    compact = re.sub(r"[ \n-]", "", iban)
    return (
        15 <= len(compact) <= 34
        and int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1
    )


def luhn_is_valid(number: str) -> bool:
    """Return True if the check digit is that of ISO/IEC 7812-1, annex B."""
    digits = [int(c) for c in number if c.isdigit()][::-1]
    return (sum(digits[::2]) + sum(sum(divmod(2 * d, 10)) for d in digits[1::2])) % 10 == 0


class LexveilAccountRecognizer(RuleRecognizer):
    """Numbers of bank accounts and payment cards, by check digits or by a label before them."""

    NAME = "AccountRecognizer"
    TYPES = ("ACCOUNT_NUMBER",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the account numbers in `text`."""
        for match in _IBAN.finditer(text):
            end = _valid_iban_end(match.group())
            score = CHECKED if end else SHAPED
            end = end or _shaped_iban_end(match.group())
            if end:
                yield Finding(match.start(), match.start() + end, "ACCOUNT_NUMBER", score)
        for pattern in (_CARD, _BROKEN_CARD):
            for match in pattern.finditer(text):
                number = match.group()
                if number[0] != "0" and len(set(number)) > 3 and luhn_is_valid(number):
                    yield Finding(match.start(), match.end(), "ACCOUNT_NUMBER", LABELED)
        yield from find_matches(text, "ACCOUNT_NUMBER", SHAPED, _MASKED_CARD)
        yield from find_matches(text, "ACCOUNT_NUMBER", LABELED, _CARD_LABELED, group=1)
        for pattern, fewest_digits in ((_LABELED, 3), (_LABELED_ZH, 4)):
            for match in pattern.finditer(text):
                if sum(map(str.isdigit, match.group(1))) >= fewest_digits:
                    yield Finding(match.start(1), match.end(1), "ACCOUNT_NUMBER", LABELED)


def _valid_iban_end(candidate: str) -> int:
    """Return how many characters of `candidate` are an IBAN; the pattern may match capitals after it too."""
    for end in range(len(candidate), 14, -1):
        if candidate[end - 1] not in " \n" and iban_is_valid(candidate[:end]):
            return end
    return 0


def _shaped_iban_end(candidate: str) -> int:
    """Return how many characters of `candidate` have the length of an IBAN of its country; 0 if none."""
    length = _IBAN_LENGTHS.get(candidate[:2].upper(), 0)
    places = [index for index, character in enumerate(candidate) if character.isalnum()]
    if not 0 < length <= len(places):
        return 0
    end = places[length - 1] + 1
    # Capitals after two letters and two digits are mostly words.
    return end if 2 * sum(map(str.isdigit, candidate[:end])) >= length else 0
