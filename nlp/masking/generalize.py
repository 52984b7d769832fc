# ruff: noqa: E501, SIM905  -- patterns and lists of words read best on one line
"""Generalize a value: a date to its year, an age to its decade, an address to its town, an amount to its magnitude.

A value that cannot be parsed with certainty is not generalized (None), so that nothing exact remains by
mistake.
"""

from __future__ import annotations

import re

from lexveil.nlp.letters import HAN
from lexveil.nlp.masking.policy import Dates
from lexveil.nlp.text import NormalizedText

_MONTH = (
    r"(?:jan(?:uary|uar)?|jänner|feb(?:ruary|ruar)?|mar(?:ch)?|märz|apr(?:il)?|may|mai|june?|juni|july?|juli|"
    r"aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|okt(?:ober)?|nov(?:ember)?|de[cz](?:ember)?)\.?"
)
_YEAR = r"(?<!\d)((?:1[5-9]|20)\d\d)(?!\d)"
_WORD_DATE = re.compile(rf"(?i)(?<![^\W\d_])({_MONTH})(?![^\W\d_])(?:\D*\d{{1,2}}(?!\d))?\D*{_YEAR}")
_CHINESE_DATE = re.compile(
    r"((?:[12]\d{3}|[一二][〇零○Ｏ一二三四五六七八九]{3})年)(?:\s*([\d一二三四五六七八九十]{1,3}月))?"
)
_ISO = re.compile(rf"{_YEAR}[-/.](\d{{1,2}})(?:[-/.]\d{{1,2}})?(?!\d)")
_DAY_FIRST = re.compile(rf"(?<!\d)\d{{1,2}}([-/.])(\d{{1,2}})\1{_YEAR}")
_ANY_YEAR = re.compile(_YEAR)
_NUMBER = re.compile(r"\d[\d,.' ]*\d|\d")
_AGE = re.compile(r"(?<!\d)\d{1,3}(?!\d)")
_UNITS = tuple(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen".split()
)
_TEENS = tuple("sixteen seventeen eighteen nineteen".split())
_TENS = {
    name: 10 * n for n, name in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)
}
_SMALL = {name: n for n, name in enumerate([*_UNITS, *_TEENS])}
_WORD_AGE = re.compile(
    rf"(?i)\b(?:({'|'.join(_TENS)})(?:[- ]({'|'.join(_UNITS[1:10])}))?|({'|'.join(_SMALL)}))\b"
)
_OLDEST = 90
_CHINESE_TOWN = re.compile(rf"(?:[{HAN}]{{2,8}}?(?:省|自治区))?[{HAN}]{{2,7}}?(?:市|自治州|地区)")
_POSTCODES = re.compile(
    r"\b(?:[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|\d{4} ?[A-Z]{2}|(?:[A-Z]{1,2}-)?\d{4,6}(?:-\d{4})?|[A-Z]\d[A-Z] ?\d[A-Z]\d)\b"
)
_TOWN = re.compile(r"[^\W\d_][^\W\d_.'-]*(?:[ '-][^\W\d_][^\W\d_.'-]*){0,3}")
_US_STATE = re.compile(r"[A-Z]{2}")
_STREET_WORD = re.compile(
    r"(?i)(?:\b(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|court|ct|close|place|square|way|boulevard|blvd|"
    r"suite|apt|apartment|flat|floor|unit|room|house|building|box)\b|(?:straße|strasse|weg|platz|allee|gasse|ring)\b)"
)


def generalize(kind: str, surface: str, dates: Dates = "year") -> str | None:
    """Return a less exact text for `surface`, in its own language and form.

    DATE and BIRTH_DATE keep the year, or the month and the year; AGE becomes a band of ten years (90+ from 90
    on); ADDRESS becomes its town; QUANTITY becomes its order of magnitude.

    Args:
        kind: the entity type.
        surface: the text of the span.
        dates: how much of a date to keep.

    Returns:
        The generalized text, or None if the type has no generalization or the text cannot be parsed with
        certainty.
    """
    normalized = NormalizedText.of(surface)
    text = normalized.text
    if kind in ("DATE", "BIRTH_DATE"):
        return _generalize_date(text, dates)
    if kind == "AGE":
        return _generalize_age(text)
    if kind == "ADDRESS":
        town = _extract_town(text)
        # A town at the beginning is shown in the characters it is written in.
        leads = town is not None and text.startswith(town)
        return surface[: normalized.to_original(0, len(town))[1]] if town and leads else town
    if kind == "QUANTITY":
        return _generalize_quantity(text)
    return None


def _generalize_date(text: str, dates: Dates) -> str | None:
    if len(_ANY_YEAR.findall(text)) > 1:
        return None  # a range, or two dates
    if chinese := _CHINESE_DATE.search(text):
        return chinese.group(1) + ((chinese.group(2) or "") if dates == "month" else "")
    if word := _WORD_DATE.search(text):
        return f"{word.group(1)} {word.group(2)}" if dates == "month" else word.group(2)
    if iso := _ISO.search(text):
        return f"{iso.group(1)}-{iso.group(2).zfill(2)}" if dates == "month" else iso.group(1)
    if day_first := _DAY_FIRST.search(text):
        # 03/04/2020 is April in Europe and March in America; only points make it unambiguous.
        unambiguous = day_first.group(1) == "."
        month = f"{day_first.group(2).zfill(2)}.{day_first.group(3)}"
        return month if dates == "month" and unambiguous else day_first.group(3)
    year = _ANY_YEAR.search(text)
    return year.group(1) if year else None


def _generalize_age(text: str) -> str | None:
    numbers = _AGE.findall(text)
    if len(numbers) == 1:
        return _AGE.sub(_format_band(int(numbers[0])), text)
    words = list(_WORD_AGE.finditer(text))
    if numbers or len(words) != 1:
        return None
    tens, unit, small = (part.lower() if part else "" for part in words[0].groups())
    age = _SMALL[small] if small else _TENS[tens] + (_SMALL[unit] if unit else 0)
    return text[: words[0].start()] + _format_band(age) + text[words[0].end() :]


def _format_band(age: int) -> str:
    return f"{_OLDEST}+" if age >= _OLDEST else f"{age // 10 * 10}-{age // 10 * 10 + 9}"


def _extract_town(text: str) -> str | None:
    if chinese := _CHINESE_TOWN.match(text):
        return chinese.group() if chinese.end() < len(text) else None
    parts = [part.strip() for part in re.split(r"[,\n]", text) if part.strip()]
    if len(parts) < 2:
        return None
    stripped = [_POSTCODES.sub("", part).strip(" .") for part in parts]
    has_code = [plain != part.strip(" .") for plain, part in zip(stripped, parts, strict=True)]
    # The town is next to the postcode, or before the state that is; without a postcode it is last.
    index = max((n for n, code in enumerate(has_code) if code), default=len(parts) - 1)
    state = ""
    if _US_STATE.fullmatch(stripped[index]):
        state, index = f", {stripped[index]}", index - 1
    elif not stripped[index]:
        index -= 1
    town = stripped[index] if index >= 1 else ""
    return town + state if _TOWN.fullmatch(town) and not _STREET_WORD.search(town) else None


def _generalize_quantity(text: str) -> str | None:
    """Turn `EUR 12,500` into `EUR 10,000-100,000`; None unless it is one plain number of two or more digits."""
    numbers = list(_NUMBER.finditer(text))
    if len(numbers) != 1:
        return None
    whole = re.sub(r"[.,]\d{1,2}$", "", numbers[0].group())
    digits = re.sub(r"\D", "", whole).lstrip("0")
    if len(digits) < 2:
        return None
    low = 10 ** (len(digits) - 1)
    start, end = numbers[0].span()
    return f"{text[:start]}{low:,}-{10 * low:,}{text[end:]}"
