# ruff: noqa: E501, SIM905  -- patterns and lists of words read best on one line
"""Ages and dates of birth in Chinese, in Arabic and Chinese numerals; a date may be a year alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.recognizers.base import CHINESE, LABELED, Finding, RuleRecognizer, find_matches

_NUMERAL = "〇○零一二三四五六七八九"
# Taiwan counts the years from 1912: 民国75年 is 1986.
_ROC = r"(?:中华)?民国 ?(?:前 ?)?(?:\d{1,3}|[〇○零一二三四五六七八九十百]{1,5}|元)"
_YEAR = rf"(?:{_ROC}|(?:18|19|20)\d\d|(?<!\d)\d\d|[{_NUMERAL}0O]{{4}})"
_MONTH = r"(?:1[0-2]|0?[1-9]|十[一二]?|[元正冬腊一二三四五六七八九])"
_DAY = r"(?:3[01]|[12]\d|0?[1-9]|三十一?|二?十[一二三四五六七八九]?|廿[一二三四五六七八九]?|初?[一二三四五六七八九十])"
_DATE = (
    rf"(?:{_YEAR} ?年(?: ?\(?(?:农历|阴历)\)?)?(?: ?{_MONTH} ?月(?: ?{_DAY} ?[日号]?)?)?"
    rf"|(?:19|20)\d\d(?P<mark>[-./])(?:1[0-2]|0?[1-9])(?:(?P=mark)(?:3[01]|[12]\d|0?[1-9]))?(?!\d))"
)
_BEFORE = CHINESE.compile(
    rf"(?<![\d{_NUMERAL}])(?P<date>{_DATE})(?=(?:\((?:农历|阴历|公历|身份证)[^()]{{0,6}}\))?,?(?:出生|生(?![效产活态育前日长成病意存])|(?:生|出)人))"
)
_AFTER = CHINESE.compile(
    rf"(?:出生于|生于|出生日期|出生年月日?|出生时间|出生|生日)(?:[^\d,。;、()\n]{{0,12}}?,?)?(?:为|是|:|于)?\s?(?P<date>{_DATE})"
)
_COUNT = r"(?:\d{1,3}|[一二两三四五六七八九十百]{1,4})"
_AGE = CHINESE.compile(
    rf"(?<![\d.])(?P<age>{_COUNT}[余多]?(?:周|虚)?岁半?)(?!以[上下]|至|儿童)|(?:年龄|现年|时年|年纪)(?:为|是|:|约)?\s?(?P<bare>{_COUNT}(?:周?岁)?)(?!\d|[分元年月])"
    rf"|(?P<months>{_COUNT}个?多?月大|[一二三四五六七八九]旬(?=老|男|女|的|,)|年[过近](?:半百|花甲|古稀|[五六七八九]旬|[三四]十))"
)
# Thresholds of the law: "under fourteen" defines an offense and says nobody's age.
_THRESHOLD = re.compile(r"(?:不满|未满|已满|年满|满|超过|低于|不足|达到)$")
_LAW = frozenset(
    "10 12 14 16 18 20 22 60 65 75 十 十二 十四 十六 十八 二十 二十二 六十 六十五 七十五".split()
)


class ChineseAgeBirthRecognizer(RuleRecognizer):
    """Ages and dates of birth in Chinese texts."""

    TYPES = ("AGE", "BIRTH_DATE")

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the ages and dates of birth in `text`."""
        yield from find_matches(text, "BIRTH_DATE", LABELED + 0.05, _BEFORE, _AFTER, group="date")
        for match in _AGE.finditer(text):
            group = match.lastgroup or "age"
            if not _is_threshold(text, *match.span(group), before=match.start()):
                yield Finding(match.start(group), match.end(group), "AGE", LABELED)


def _is_threshold(text: str, start: int, end: int, before: int) -> bool:
    count = re.match(_COUNT, text[start:end])
    return (
        count is not None
        and count.group() in _LAW
        and _THRESHOLD.search(text, max(0, before - 3), before) is not None
    )
