# ruff: noqa: E501  -- patterns and lists of words read best on one line
"""Chinese places: addresses of homes (ADDRESS), other places (LOCATION).

A place is a row of names, each closed by a word for its kind (省, 市, 镇, 村, 路, ...), and then numbers of
doors. A sentence has no spaces, so the row begins after the last word that cannot be part of a place's name.
The names of courts, prosecutors and the police are not places here: they say nothing about where somebody is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from lexveil.nlp.citations.offices_zh import split_places
from lexveil.nlp.letters import HAN
from lexveil.nlp.recognizers.base import CHINESE, LABELED, SHAPED, Finding, RuleRecognizer, find_matches

_H = f"[{HAN}]"
# 某, × and X replace a name or a number that the publisher removed.
_ANY = rf"[{HAN}A-Za-z\d×*]"
_AREA = (
    r"(?:特别行政区|自治区|自治州|自治县|自治旗|地区|街道|办事处|村委会|居委会|社区|开发区|高新区|小区|花园|公寓|新村|家园|广场|大厦|大道|胡同|里弄|开发区|工业园|"
    r"[省市县旗镇屯路街巷弄苑庄坊园]|道(?=\d)|区(?![分域别间块])|(?<!老)乡(?![亲下])|村(?!民))"
)
_NUMBER = r"(?:[\dA-Za-z×*Xx]{1,6}(?:-[\dA-Za-z]{1,5}){0,3}|[一二三四五六七八九十百]{1,4}|东|西|南|北)"
_DOOR = rf"(?:{_NUMBER}(?:号楼|号院|号房|号|幢|栋|座|单元|层|楼|室|房|宿舍|组|社|队|弄|门|铺|户)(?:附\d+号|之(?:[一二三四五六七八九十]|\d{1, 3})|-\d{{1,4}})?)"
_DOORS = re.compile(_DOOR)
_CLOSED = re.compile(rf"{_AREA}|{_DOOR}")
_ROW = re.compile(
    rf"(?:{_ANY}{{1,9}}?{_AREA}{{1,2}}){{1,7}}(?:{_H}{{0,8}}?{_DOOR}){{0,6}}|{_H}{{2,10}}?(?:{_DOOR}){{2,6}}"
)
_UNBROKEN = CHINESE.compile(rf"{_ANY}{{3,}}")
_CLOSING = re.compile(r"[省市县区旗镇乡村屯路街巷弄苑庄坊园道寓厦场同州处会号栋幢座元层楼室房舍组社队门铺户]")
_LABEL = r"(?:户籍所在地|户籍地址?|户口所在地|户籍|现住址|现住地|现住|家庭住址|家庭地址|经常居住地|居住地址?|居住于|居住在|租住于?|暂住地|暂住于|暂住|捕前住|住所地|住所|住址|住在|家住|地址|送达地址|原住|住)"
_HOME = CHINESE.compile(
    rf"{_LABEL}(?:地|址)?(?:为|是|:|在|于|位于)?\s?(?!所|址|院|宿|户|宅|处)((?:本市|本区|本县)?{_ANY}[{HAN}A-Za-z\d×*()-]{{1,40}}?)(?=[,。;、\s\"]|$|\((?!\w)|以|的|,)"
)
_HOME_BEFORE = CHINESE.compile(rf"在({_H}{{2,12}}?[省市县区])(?=(?:暂住|居住|租住))")
# A door without its house, which the text has named before.
_ROOM = CHINESE.compile(
    r"(?<![\dA-Za-z.第元楼栋幢号座层弄])(?:[A-Z]-?)?\d{3,4}(?:室|号房间?|房间|房(?![产屋地价租]))|(?<=所住)\d{1,4}宿舍"
)
_PLACE_WORD = re.compile(
    r"[省市县区旗镇乡村屯路街巷号州盟庄园苑]|自治|新疆|西藏|宁夏|广西|内蒙古|香港|澳门|台湾|北京|上海|天津|重庆"
)
# Words after a place that make it somebody's home.
_AT_HOME = re.compile(
    rf"(?:{_H}{{1,4}})?(?:自家|自己家|家中|家里|家院|家|的?住处|的?住宅|的?出租房|的?出租屋|的?暂住处|的?租房|的?租住处|的?房间|的?宿舍)"
)
_OFFICE = r"(?:最高|高级|中级|[一二三四五六七八九十]{0,2})?(?:铁路运输|海事|知识产权|互联网)?(?:中级|高级|基层)?(?:人民)?(?:法院|检察院)|公安|看守所|拘留所|监狱|戒毒所|司法局|派出所|人民政府|政府|人民|交警|交通警察|刑警|物价|价格认证"
_PUBLIC = re.compile(_OFFICE)
_NO_PLACE = re.compile(
    rf"^(?:本|该|各|全|某|原|此|我|同|外|多|两|一|二|三|上述|其他|居民|农|城|乡|小|新|老|山|整个|[×*]{{1,3}})?{_AREA}$|^(?:各|本|该|周边)?(?:乡镇|城镇)$|"
    r"(?:[超城都门上股菜夜集]市|地区|灾区|辖区|市区|道路|公路|线路|思路|网路|铁路|半路|路路|退路|出路|套路|一路|电路|马路|农村|[校乐公田果菜]园|幼儿园|酒庄|钱庄|[作歌茶街]坊|逛街|大街)$|"
    r"购买|使用|数量|金额|人民币"
)


class ChineseAddressRecognizer(RuleRecognizer):
    """Chinese addresses of homes (ADDRESS), and all other places (LOCATION)."""

    TYPES = ("ADDRESS", "LOCATION")

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the homes and places in `text`."""
        for match in chain(_HOME.finditer(text), _HOME_BEFORE.finditer(text)):
            if _is_home(text, *match.span(1)):
                yield Finding(match.start(1), match.end(1), "ADDRESS", LABELED)
        yield from find_matches(text, "ADDRESS", SHAPED, _ROOM)
        for start, end in _find_places(text):
            if end - start < 3 or _NO_PLACE.search(text[start:end]) or _PUBLIC.search(text, start, end + 3):
                continue
            home = _DOORS.search(text, start, end) is not None or _AT_HOME.match(text, end) is not None
            yield Finding(start, end, "ADDRESS" if home else "LOCATION", SHAPED)


def _is_home(text: str, start: int, end: int) -> bool:
    """Return True if what follows a label such as 住址 names a place, and no office."""
    place = text[start:end]
    return _PLACE_WORD.search(place) is not None and "没有" not in place and _PUBLIC.match(text, end) is None


def _find_places(text: str) -> Iterator[tuple[int, int]]:
    for run in _UNBROKEN.finditer(text):
        if _CLOSING.search(text, *run.span()):
            for row in _ROW.finditer(text, *run.span()):
                yield from _split_row(text, *row.span())


def _split_row(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the places in [start, end), where words of the sentence may stand between them.

    Each place ends with its last closing word.
    """
    for first, last in split_places(text, start, end):
        closed = max((match.end() for match in _CLOSED.finditer(text, first, last)), default=first)
        if closed > first:
            yield first, closed
