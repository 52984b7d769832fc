# ruff: noqa: E501, SIM905  -- patterns and lists of words read best on one line
"""Names in Latin letters within Chinese text: "John Smith", "CHAN Tai Man", and "Anna" after a label or a role.

Chinese text has few Latin words, and most are brands and programs. So a capital proves little: a first name of a
public list, a romanized surname of Hong Kong, a title, a label or a role must show that it is a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from lexveil.nlp.entities.given_names import is_given_name
from lexveil.nlp.letters import HAN, LOWER, UPPER
from lexveil.nlp.recognizers.base import CHINESE, GUESSED, LABELED, SHAPED, Finding, RuleRecognizer
from lexveil.nlp.recognizers.given_name import is_common
from lexveil.nlp.recognizers.person_zh import ROLE_WORDS

_WORD = rf"(?:(?:[OD]'|Mc|Mac)?[{UPPER}][{LOWER}]+(?:[-'][{UPPER}{LOWER}][{LOWER}]+)*)"
_PART = rf"(?:{_WORD}|[{UPPER}]\.?(?![{UPPER}{LOWER}])|[{UPPER}]{{2,}}(?![{LOWER}]))"
_BEGIN, _END = r"(?<![A-Za-z\d@._/&+-])", r"(?![A-Za-z\d@_/&+]|[.-][A-Za-z\d])"
_WHOLE = rf"{_BEGIN}({_WORD}(?:,? {_PART}){{0,3}}|[{UPPER}]{{2,}},?(?: {_PART}){{1,3}}){_END}"
_SURNAMES = (
    "CHAN WONG LEE CHEUNG LAU NG CHENG LEUNG YEUNG TSANG LAM TANG CHOW CHOI FUNG KWOK TSE YIP LAI CHUNG KWAN MAK YUEN POON CHIU HUI SHUM YAU SIU KWONG TSUI "
    "WAN CHU CHUI MOK LUK TAM TO KO YU HO LO SO HUNG FONG LUI SIN TSOI LING KAM MUI TONG CHIN "
    "WANG ZHANG LIU CHEN YANG HUANG ZHAO WU ZHOU XU SUN ZHU HU GUO HE LIN GAO LUO ZHENG LIANG XIE SONG TANG HAN FENG DENG CAO PENG ZENG XIAO TIAN DONG PAN YUAN CAI JIANG YU DU YE CHENG WEI SU LU DING SHEN REN YAO QIAN CUI TAN LIAO FAN WAN QIN XUE YAN DUAN LEI HOU LONG SHI TAO"
).split()
_SURNAME = rf"(?:{'|'.join(sorted(set(_SURNAMES), key=len, reverse=True))})"
# CHAN Tai Man, Grace; CHAN TAI MAN; WONG, Siu-ming.
_ROMANIZED = CHINESE.compile(
    rf"{_BEGIN}{_SURNAME},? (?:[{UPPER}][{LOWER}]{{1,6}}(?:[ -][{UPPER}{LOWER}][{LOWER}]{{1,6}}){{0,2}}(?:,? [{UPPER}][{LOWER}]{{2,}})?|[{UPPER}]{{2,6}}(?:[ -][{UPPER}]{{2,6}})?){_END}"
)
_TITLES = "先生|女士|小姐|太太|博士|教授|律师|大律师|医生|法官|经理|总监|总裁|董事|同志|老师|同学|夫妇"
_LABELS = "姓名|名字|联系人|收件人|寄件人|发件人|抄送|收货人|签名|签字|经办人|审核|记录人|主持人|参加人|参会人员|出席|见证人|证人|当事人|英文名|英文姓名|外文名|又名|别名|曾用名|护照姓名|客户|员工|甲方|乙方|授权代表|法定代表人"
_ROLES = "|".join(
    sorted(
        (*ROLE_WORDS, "董事", "总裁", "上级", "领导", "申索人", "答辩人", "英文名", "又名"),
        key=len,
        reverse=True,
    )
)
_TITLED = CHINESE.compile(rf"{_WHOLE} ?(?={_TITLES})")
_COURTESY = CHINESE.compile(rf"{_BEGIN}(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.? ({_PART}(?: {_PART}){{0,3}}){_END}")
_LABEL = CHINESE.compile(rf"(?:{_LABELS})[ \t]*:[ \t]*(?=([^\n]{{1,200}}))")
_ITEM = re.compile(rf"(?:\A|(?<=[,;、])|  |\t)[ \t]*{_WHOLE}(?=[ \t]*(?:[,;、<(\[|]|\Z|  |\t))")
_ROLED = CHINESE.compile(rf"(?:{_ROLES})(?:为|是|系|叫)?(?:\([^()\n]{{1,12}}\))?[ :]{{0,3}}{_WHOLE}")
_AFTER_FOREIGN = CHINESE.compile(rf"(?<=[{HAN}])[·•・‧][{HAN}]{{1,8}} ?\({_WHOLE}(?=\))")
# One word alone, where a sentence treats it as somebody.
_SPOKEN = CHINESE.compile(
    rf"(?:(?<=[跟和与给让叫找问对向由被把请@，,。;:\n])|\A) ?{_BEGIN}({_WORD}){_END} ?(?=[说称问讲的是把给去来也都在要不没和与跟和已就又还签打发,，、。:]|\Z)"
)
_FIRST = re.compile(rf"{_BEGIN}({_WORD})(?: {_PART}){{1,3}}{_END}")
_LETTERS = re.compile(r"[^\W\d_]+")
_NO_NAMES = frozenset(
    """
    word excel office windows powerpoint outlook access photoshop acrobat reader adobe microsoft google apple iphone ipad android wechat zoom
    teams skype facebook twitter youtube amazon python java linux oracle siri alexa cortana chrome firefox safari email mail subject date room all staff app web
    wifi bluetooth model type size class part section article annex appendix schedule exhibit chapter table figure page version series no vol
    legal team sales finance support service services department office group admin marketing
    co ltd inc corp llc llp plc gmbh limited company holdings bank hotel university college court road street centre center tower building plaza
    the and for with of in to from dear hi hello best regards thanks sincerely yours please find attached
    """.split()
)
_THING_AFTER = re.compile(
    r" ?(?:[&A-Z]|公司|集团|银行|酒店|品牌|牌|软件|系统|大学|学院|学校|医院|基金|商标|酒庄|手机|汽车|路|街|大道|大厦|广场|平台|网站|杂志|证券|文档|文件|表格|格式|版|型号|认证|协议|课程|产品|奖)"
)


class LatinPersonInChineseRecognizer(RuleRecognizer):
    """Names of people in Latin letters within Chinese texts."""

    TYPES = ("PERSON",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the names of people in `text`."""
        for start, end, score in chain(_find_cued(text), _find_by_form(text)):
            words = [word.casefold() for word in _LETTERS.findall(text, start, end)]
            if _NO_NAMES.isdisjoint(words) and _THING_AFTER.match(text, end) is None:
                yield Finding(start, end, "PERSON", score)


def _find_cued(text: str) -> Iterator[tuple[int, int, float]]:
    """Yield what a title, a label or a role shows to be a name."""
    for pattern in (_TITLED, _COURTESY, _AFTER_FOREIGN):
        for match in pattern.finditer(text):
            yield *match.span(1), LABELED
    for label in _LABEL.finditer(text):
        for item in _ITEM.finditer(label.group(1)):
            yield label.start(1) + item.start(1), label.start(1) + item.end(1), LABELED
    for match in _ROLED.finditer(text):
        if " " in match.group(1) or is_given_name(match.group(1).casefold()):
            yield *match.span(1), LABELED


def _find_by_form(text: str) -> Iterator[tuple[int, int, float]]:
    """Yield what a romanized surname or a first name shows to be a name."""
    for match in _ROMANIZED.finditer(text):
        yield *match.span(), SHAPED
    for pattern, group in ((_FIRST, 0), (_SPOKEN, 1)):
        for match in pattern.finditer(text):
            first = match.group(1).casefold()
            if is_given_name(first) and not is_common(first):
                yield match.start(1), match.end(group), GUESSED
