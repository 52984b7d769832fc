# ruff: noqa: E501, SIM905  -- patterns and lists of words read best on one line
"""Names of Chinese courts, prosecutors and police stations, each with the place that it begins with.

A court's name says nothing about where the people in a case live, so it stays readable like a citation.
"""

from __future__ import annotations

import re

from lexveil.nlp.citations.rule import LAW, Range
from lexveil.nlp.letters import HAN

_H = f"[{HAN}]"
_OFFICE = LAW.compile(
    rf"{_H}{{2,24}}?(?:人民法院|人民检察院|检察院|人民法庭|(?:公安局|公安处|公安分局)(?:{_H}{{1,10}}?分局)?(?:{_H}{{1,8}}?(?:派出所|大队|支队))?|看守所|拘留所|监狱|戒毒所|派出所|司法局|司法所|地方法院(?:{_H}{{2}}简易庭)?|高等法院(?:{_H}{{2}}分院|原讼法庭|上诉法庭)?|最高法院|高等行政法院|少年及家事法院|智慧财产(?:及商业)?法院|地方检察署|高等检察署|终审法院|区域法院|裁判法院|家事法庭|劳资审裁处|土地审裁处|小额钱债审裁处|(?<=[县市])政府警察局(?:{_H}{{2,4}}分局)?)(?!宿舍|家属|小区|大院|职工|旁|对面|附近)"
    r"|最高(?:行政)?法院|智慧财产(?:及商业)?法院|(?:劳资|土地|小额钱债)审裁处"
)
# Words of a sentence before a place; they never occur inside a place's name.
_CUT = re.compile(
    r"户籍所在地|户籍地|户籍|户口所在地|现住址?|居住地|居住[于在]|暂住[于在地]?|租住[于在]?|家住|住所地|住所|住址|经常居住地|住在|住|出生地|籍贯|位于|坐落于?|出生于|出生|生于|窜至|来到|行驶至|行至|送到|送至|带至|带到|搬至|搬到|"
    r"前往|不服|通过|经营|停靠|靠近|证称|赶到|赶至|到达|进入|购买了|承包的?|租用|租赁|撬开|经过|途经|沿|驶入|被害人|被告人|上诉人|证人|民警|"
    r"在|至|到|从(?![化江])|由|往|经(?![开济一二三四五六七八九十纬])|将(?![乐军])|于(?![洪都田])|去|的|与|"
    r"(?<![共太永平天人中仁泰祥义三兴云])和(?![平县顺田静谐政龙])|系|向(?![阳荣])|被|因|对(?!湖)|及(?!商业法院)|为(?![民县])|是|了|把|则|回(?![民龙])|某某|民族|汉族|族,?|"
    r"日(?![照喀])|年|月(?![湖亮坛])|时许|许,?|:|[本该我][市县区镇村](?!外)"
)
_PROVINCE = (
    "北京市 天津市 上海市 重庆市 河北省 山西省 辽宁省 吉林省 黑龙江省 江苏省 浙江省 安徽省 福建省 江西省 山东省 河南省 湖北省 湖南省 广东省 海南省 四川省 贵州省 云南省 陕西省 甘肃省 青海省 台湾省 "
    "内蒙古自治区 广西壮族自治区 西藏自治区 宁夏回族自治区 新疆维吾尔自治区 香港特别行政区 澳门特别行政区"
).split()
_FROM_PROVINCE = re.compile("|".join(_PROVINCE))


def find_offices(text: str) -> list[Range]:
    """Return the ranges of the names of courts, prosecutors and the police, with their place."""
    return [(split_places(text, *match.span())[-1][0], match.end()) for match in _OFFICE.finditer(text)]


def split_places(text: str, start: int, end: int) -> list[Range]:
    """Split [start, end) at words that belong to no place's name, and before each province."""
    pieces: list[Range] = []
    for cut in _CUT.finditer(text, start, end):
        pieces.append((start, cut.start()))
        start = cut.end()
    pieces.append((start, end))
    split: list[Range] = []
    for first, last in pieces:
        for province in _FROM_PROVINCE.finditer(text, first, last):
            split.append((first, province.start()))
            first = province.start()
        split.append((first, last))
    return split
