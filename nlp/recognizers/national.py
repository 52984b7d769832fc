# ruff: noqa: E501, SIM905  -- patterns and lists read best on one line
"""Numbers that states issue, by the patterns and check digits that Presidio ships.

Presidio searches a whole text with each of its patterns, more than a hundred. Here they search only the few
pieces of a text that contain enough digits, and a pattern without a check digit counts only after a word of
its context.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import regex
from presidio_analyzer import PatternRecognizer

from lexveil.nlp.recognizers.base import CHECKED, LABELED, SHAPED, SHARED, Finding, RuleRecognizer

_ACCOUNTS = ("AbaRoutingRecognizer", "CryptoRecognizer", "UsBankRecognizer")
_PLATES = (
    "DeKfzRecognizer",
    "InVehicleRegistrationRecognizer",
    "NgVehicleRegistrationRecognizer",
    "TrLicensePlateRecognizer",
    "UkVehicleRegistrationRecognizer",
    "ZaLicensePlateRecognizer",
)
_IDENTITIES = (
    "AuAbnRecognizer AuAcnRecognizer AuMedicareRecognizer AuTfnRecognizer CaSinRecognizer DeBsnrRecognizer "
    "DeFuehrerscheinRecognizer DeHandelsregisterRecognizer DeHealthInsuranceRecognizer DeIdCardRecognizer "
    "DeLanrRecognizer DePassportRecognizer DeSocialSecurityRecognizer DeTaxIdRecognizer DeTaxNumberRecognizer "
    "DeVatIdRecognizer EsNieRecognizer EsNifRecognizer EsPassportRecognizer FiPersonalIdentityCodeRecognizer "
    "InAadhaarRecognizer InGstinRecognizer InPanRecognizer InPassportRecognizer InVoterRecognizer "
    "ItDriverLicenseRecognizer ItFiscalCodeRecognizer ItIdentityCardRecognizer ItPassportRecognizer "
    "ItVatCodeRecognizer KrBrnRecognizer KrDriverLicenseRecognizer KrFrnRecognizer KrPassportRecognizer "
    "KrRrnRecognizer MedicalLicenseRecognizer NgNinRecognizer NhsRecognizer PhPassportRecognizer PhTinRecognizer "
    "PhUmidRecognizer PlPeselRecognizer SeOrganisationsnummerRecognizer SePersonnummerRecognizer SgFinRecognizer "
    "SgUenRecognizer ThTninRecognizer TrNationalIdRecognizer UkDrivingLicenceRecognizer UkNinoRecognizer "
    "UkPassportRecognizer UsHealthInsuranceMemberIdRecognizer UsItinRecognizer UsLicenseRecognizer UsMbiRecognizer "
    "UsNpiRecognizer UsPassportRecognizer UsPrescriptionNumberRecognizer UsPriorAuthorizationNumberRecognizer "
    "UsProviderTaxIdRecognizer UsReferralNumberRecognizer UsClaimNumberRecognizer UsSsnRecognizer "
    "ZaCompanyRegistrationRecognizer ZaDriverLicenseRecognizer ZaIdNumberRecognizer ZaIncomeTaxNumberRecognizer "
    "ZaPassportRecognizer ZaTrafficRegisterNumberRecognizer ZaVatNumberRecognizer"
).split()
_NAMES = {"ID_NUMBER": _IDENTITIES, "PLATE": _PLATES, "ACCOUNT_NUMBER": _ACCOUNTS}
# Words of context that precede every second number of a judgment.
_VAGUE_WORDS = frozenset("number no code card account id the of claim state registration company".split())
_CANDIDATE = SHARED.compile(r"(?<![\w,.$€£])[A-Z\d](?:[ ./-]?[A-Z\d]){6,24}(?!\w|[.,]\d)")
# Dates and case numbers: by far the most frequent candidates.
_OTHER_NUMBER = re.compile(
    r"\d{1,2}[./-]\d{1,2}[./-]\d{4}|\d{4}[./-]\d{2}[./-]\d{2}|(?:19|20)\d\d[-/](?:19|20)\d\d|\d{3,6}/\d{2,4}|(?:\d{1,3} )+(?:000)"
)
# Numbers whose form says what they are, whatever their check digits: an Italian tax code, where letters may
# stand for digits, a Spanish identity card, a French social security number by its groups.
_UNMISTAKABLE = re.compile(
    r"(?:[A-Z]{3} ?){2}[\dL-NP-V]{2}[A-EHLMPR-T][\dL-NP-V]{2} ?[A-Z][\dL-NP-V]{3}[A-Z]"
    r"|\d{2}\.?\d{3}\.?\d{3}[ -]?[A-HJ-NP-TV-Z]"
    r"|[12] \d{2} (?:0[1-9]|1[0-2]|[2-9]\d) (?:\d{2}|2[AB]) \d{3} \d{3}(?: \d{2})?"
)
_REACH = 80
_NEAR = 12
_FEWEST_DIGITS = 4
_SURE_SHAPE = 0.5
_LONG = 9


class _Kind(NamedTuple):
    """A kind of number; `checked` if it has a check digit."""

    type: str
    recognizer: PatternRecognizer
    patterns: tuple[tuple[regex.Pattern[str], float], ...]
    checked: bool


@cache
def _kinds() -> tuple[tuple[_Kind, ...], re.Pattern[str], dict[str, frozenset[int]]]:
    """Return the kinds, a pattern for all words of their contexts, and the kinds of each word."""
    kinds = tuple(_make_kind(type_, name) for type_, names in _NAMES.items() for name in names)
    contexts: dict[str, set[int]] = {}
    for index, kind in enumerate(kinds):
        for word in map(str.lower, kind.recognizer.context or []):
            if word not in _VAGUE_WORDS:
                contexts.setdefault(word, set()).add(index)
    words = "|".join(sorted(map(re.escape, contexts), key=len, reverse=True))
    return kinds, re.compile(rf"\b(?:{words})\b"), {w: frozenset(k) for w, k in contexts.items()}


def _make_kind(entity_type: str, name: str) -> _Kind:
    """Return the kind of number that Presidio's recognizer of this class name finds."""
    from presidio_analyzer import predefined_recognizers

    recognizer: PatternRecognizer = getattr(predefined_recognizers, name)()
    flags = recognizer.global_regex_flags or 0
    patterns = tuple((regex.compile(p.regex, flags), p.score) for p in recognizer.patterns)
    checked = type(recognizer).validate_result is not PatternRecognizer.validate_result
    return _Kind(entity_type, recognizer, patterns, checked)


class LexveilNationalNumberRecognizer(RuleRecognizer):
    """Numbers of people, accounts and vehicles that a state issues."""

    NAME = "NationalNumberRecognizer"
    TYPES = ("ID_NUMBER", "ACCOUNT_NUMBER", "PLATE")

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the national numbers in `text`."""
        for match in _CANDIDATE.finditer(text):
            piece = match.group()
            if sum(map(str.isdigit, piece)) >= _FEWEST_DIGITS and not _OTHER_NUMBER.fullmatch(piece):
                if _UNMISTAKABLE.fullmatch(piece):
                    yield Finding(match.start(), match.end(), "ID_NUMBER", SHAPED)
                yield from _find_kinds(text, match.start(), match.end())


def _find_kinds(text: str, start: int, end: int) -> Iterator[Finding]:
    """Yield a finding for each kind of number that [start, end) may be."""
    kinds, words, kinds_of = _kinds()
    # A label in capitals may be the beginning of the candidate itself: "NINO AB123456C".
    context = text[max(0, start - _REACH) : end].lower()
    expected: set[int] = set()
    labeled: set[int] = set()
    near = len(context) - (end - start) - _NEAR
    for word in words.finditer(context):
        expected |= kinds_of[word.group()]
        if word.end() > near:
            labeled |= kinds_of[word.group()]
    for index, kind in enumerate(kinds):
        if not (kind.checked or index in expected):
            continue
        for pattern, pattern_score in kind.patterns:
            for match in pattern.finditer(text, start, end):
                score = _score(kind.recognizer, match.group(), pattern_score, index in expected)
                if not score and kind.checked and index in labeled:
                    # Its label stands right before it: somebody mistyped the number.
                    score = SHAPED
                if score:
                    yield Finding(match.start(), match.end(), kind.type, score)


def _score(recognizer: PatternRecognizer, number: str, pattern_score: float, expected: bool) -> float:
    """Return the score of `number`; 0 if it is not of the recognizer's kind.

    Args:
        recognizer: the recognizer of Presidio whose pattern matched.
        number: what the pattern matched.
        pattern_score: Presidio's score of the pattern.
        expected: whether a word of the kind's context precedes the number.
    """
    valid = recognizer.validate_result(number)
    if valid is False or recognizer.invalidate_result(number):
        return 0.0
    if expected:
        return CHECKED if valid else LABELED
    # One number in ten passes a single check digit.
    long = sum(map(str.isalnum, number)) >= _LONG
    return SHAPED if long and (valid or pattern_score >= _SURE_SHAPE) else 0.0
