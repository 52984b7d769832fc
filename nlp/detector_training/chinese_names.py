# ruff: noqa: E501, SIM905  -- lists of words read best on one line
"""Chinese sentences with names, to train on: the names are invented, and none of them is anybody's by intent.

The sentences are frames of our own (`frames_zh.txt`) and passages of a gold corpus whose names are replaced. Parts of
names of minorities and foreigners are in `names_zh.txt`. A quarter of all names is never used in training: benchmarks
measure on those.
"""

from __future__ import annotations

import random
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cache
from operator import attrgetter, itemgetter
from pathlib import Path
from zlib import crc32

from lexveil.nlp.evaluation.gold import GoldDocument, GoldSpan
from lexveil.nlp.letters import HAN
from lexveil.nlp.text import NormalizedText
from lexveil.nlp.vocabulary import COMPOUND_SURNAMES_ZH, SURNAMES_ZH

_FRAMES = Path(__file__).with_name("frames_zh.txt")
_PARTS = Path(__file__).with_name("names_zh.txt")
_SLOT = re.compile(r"\{([a-dA-Z])\}")
# One in five people has one of the first three, three in four one of the first hundred.
_COMMON = 100
_COMMON_GIVEN = 190
_GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红梅萍建国文志海波斌鹏飞鑫宇浩凯俊帆旭宁龙林欢佳阳亮成峰健辉晨晓婷雪琳倩雅洁莹慧颖燕玲珍凤"
    "春菊香月莲云翠荷芬芸莉蓉淑惠美珠琴琼瑶璐瑞琪琦珊瑜瑾瑛璇珂珺玮玥思怡欣悦馨诗梦涵子轩梓萱雨泽宸博昊天铭皓轶逸然若依语嫣诺妍可心彤紫筠"
    "永福禄寿德仁义礼智信忠孝全清正廉和顺发财富贵荣昌盛兴旺隆生长根宝柱栓锁铁石山川江河湖泉源水木森松柏桦榆枫柳杨槐桐竹"
    "金银铜钢锋钧铮钊锐铎鉴镇钦锦培坤堂坚城基塬均圣埔炎炜炳焕煜烨灿煌熠灵焱东西南北中上下大小新民社会立安康定邦治达远功勋业勤俭学问书章翰墨维纲纪"
    "绍祖宗耀光辰星晖昱晟曦昭暄晴朗毅刚劲威武雄壮豪英彪虎豹骏驰骥鸿鹤鹰雁燕凌云霄汉霖露霜雷霆雯霏卫卿士尚贤良善孟仲叔季伯元亨利贞乾坤"
    "丹青赤朱碧绿兰蕾蕊薇茜茵萌菲蓓蔓芝苗苹茂荣莎莱菁艺苑芮琬琰玺琛珩璋璞玫珏瑄璟颜冰凝寒冬夏秋爱怜念忆盼望希冀愿喜乐笑欢悠恬恺恒恩悟惟愉憬懿"
    "传承继启迪开拓展翔翱翼飞腾跃进步升洪涌波浪潮汐洲涯深浩瀚沛润泓洛淇淳渊渝溪滢潇澜濠灏友亲朋同双両连世代万千百十九八七六五四三二一以之其于乃"
    "成俊彦哲睿聪敏捷巧妙佩佑佐伦侠修健倪俏优伊仪仙仕任伟偲僖儒允先兆兵典冠冬准凡凤则创力加劭励勉包化升卓协博卫印厚双叶吉君启周咏品响哲唯善嘉器囡固国"
).replace("両", "两")
_FILLERS = ("某", "某", "某某", "某甲", "某乙", "某1", "某2", "某3", "某一", "×", "××", "XX")
_PROVINCES = (
    "京 津 冀 晋 内 辽 吉 黑 沪 苏 浙 皖 闽 赣 鲁 豫 鄂 湘 粤 桂 琼 川 贵 云 渝 藏 陕 甘 青 宁 新".split()
)
_TOWNS = "石家庄市 成都市武侯区 常州市 温州市鹿城区 南京市 广州市天河区 安阳市 周口市 柳州市 宁波市 北京市朝阳区 黄山市 江阴市 马鞍山市 万州区 金华市 高邮市 临沂市 安徽省 云南省 江苏省 河南省信阳市 龙岩市 凤阳县 东莞市 花溪村 李家村三组 张庄镇 王府井大街 陈家湾 白云区 钱塘江边".split()
_COUNTRIES = "斯里兰卡 泰国 意大利 巴基斯坦 加拿大 澳大利亚 阿根廷 巴西 哈萨克斯坦 乌兹别克斯坦 多米尼加 马来西亚 印度尼西亚 菲律宾 新加坡 俄罗斯 乌克兰 德国 法国 西班牙 葡萄牙 荷兰 比利时 瑞士 瑞典 挪威 丹麦 芬兰 波兰 捷克 匈牙利 罗马尼亚 保加利亚 塞尔维亚 克罗地亚 希腊 土耳其 伊朗 伊拉克 沙特阿拉伯 阿联酋 以色列 埃及 肯尼亚 尼日利亚 南非 摩洛哥 墨西哥 智利 秘鲁 哥伦比亚 古巴 蒙古 日本 韩国 越南 缅甸 老挝 柬埔寨 尼泊尔 孟加拉 马德里 洛杉矶 旧金山 伦敦 巴黎 罗马 马尼拉 约翰内斯堡 夏威夷 亚马逊 阿里巴巴 麦当劳 乌鲁木齐 呼和浩特 拉萨 日喀则 伊犁 阿克苏 喀什 吐鲁番 锡林郭勒 呼伦贝尔 甘孜 阿坝 西双版纳".split()
_BRANDS = "恒远 瑞丰 安泰 永顺 华昱 金穗 鼎盛 中岳 万里 高新 龙腾 天成 康达 常青 宏图 方圆 明德 齐鲁 海纳 江淮 白云 石化 牛奶 路桥 杨子 周氏 李宁 王朝 张裕".split()
_TRADES = (
    "科技 贸易 建筑工程 物流 餐饮管理 医疗器械 房地产开发 电子商务 农业发展 装饰 机械制造 投资咨询".split()
)
_LATIN = "CHAN Tai Man|WONG Siu Ming|LEE Ka Yan|Cheung Wai|HO, Mei Ling Mary|John Smith|Mary Brown|SMITH John|Ivan Petrov|Kim Min-su|Tanaka Taro|Nguyen Van Nam|J. Miller|Anna Maria Rossi|Peter Chan|Lam Chi Keung Andy".split(
    "|"
)
_HELD_OUT = 4
_ROLES = re.compile(
    r"(?:被告人|被害人|被上诉人|上诉人|被申请人|申请人|原告|被告(?!人)|犯罪嫌疑人|证人|受害人|借款人|死者|对方(?!当事)|(?<![其吉])他(?![们人])|她(?!们)|老公|老板|房东)"
    r"(?![方席们]|单位|公司|及其|当事|一方|双方|家属|委托|辩护|代理|提供的证|以外|适用|应当如实|有权)"
)
_HIDDEN_ROLES, _NAMED_ROLES = 0.5, 0.4
_WITHIN = re.compile(rf"(?<=[{HAN}])(?=[{HAN}])")
_DAMAGED = 0.05  # documents with broken lines, or with spaces between characters


@dataclass(frozen=True, slots=True)
class ChineseNames:
    """Names to draw from, of all kinds that Chinese texts write in Chinese characters.

    Attributes:
        held_out: draw names that training never uses, a quarter of all.
    """

    held_out: bool = False

    def draw(self, kind: str, rng: random.Random) -> str:
        """Return a name of a kind: `han`, `minority`, `foreign`, `shortened`, or `any` of them."""
        maker = _MAKERS[kind]
        while True:
            name = maker(rng)
            chosen = (crc32(name.encode()) % _HELD_OUT == 0) == self.held_out
            if len(name) > 1 and (chosen or kind == "shortened"):
                return name


def _draw_surname(rng: random.Random) -> str:
    if rng.random() < 0.04:
        return rng.choice(COMPOUND_SURNAMES_ZH)
    return rng.choice(SURNAMES_ZH[:_COMMON] if rng.random() < 0.6 else SURNAMES_ZH)


def _draw_han(rng: random.Random) -> str:
    return _draw_surname(rng) + _draw_given(rng)


def _draw_given(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return rng.choice(_load_given())
    size = rng.choices((1, 2), (0.25, 0.75))[0]
    return "".join(rng.choice(_GIVEN[:_COMMON_GIVEN] if rng.random() < 0.7 else _GIVEN) for _ in range(size))


@cache
def _load_given() -> tuple[str, ...]:
    """Return Faker's given names of the mainland and of Taiwan, in Simplified characters."""
    from faker.providers.person.zh_CN import Provider as Mainland
    from faker.providers.person.zh_TW import Provider as Taiwan

    names = {NormalizedText.of(name).text for name in (*Mainland.first_names, *Taiwan.first_names)}
    return tuple(sorted(name for name in names if 1 <= len(name) <= 2))


@cache
def _load_parts() -> Mapping[str, tuple[str, ...]]:
    lines = _PARTS.read_text(encoding="utf-8").splitlines()
    pairs = (line.split(": ") for line in lines if not line.startswith("#"))
    return {kind: tuple(words.split()) for kind, words in pairs}


def _join(rng: random.Random, *kinds: str) -> str:
    """Return one part of each kind in a row; the same part twice is one."""
    return "".join(dict.fromkeys(rng.choice(_load_parts()[kind]) for kind in kinds))


def _draw_minority(rng: random.Random) -> str:
    parts = _load_parts()
    match rng.choices(range(9), (30, 18, 18, 8, 6, 5, 6, 5, 4))[0]:
        case 0:
            # Few write their father's name in one word with their own.
            size, mark = rng.choices((1, 2, 3), (0.3, 0.66, 0.04))[0], _draw_dot(rng)
            return ("" if size == 2 and rng.random() < 0.08 else mark).join(rng.sample(parts["uyghur"], size))
        case 1:
            return "".join(rng.sample(parts["tibetan"], rng.choices((1, 2), (0.15, 0.85))[0]))
        case 2:
            return rng.choice(parts["mongol"])
        case 3:
            return _join(rng, "yi first", "yi last")
        case 4:
            return rng.choice(COMPOUND_SURNAMES_ZH) + _draw_given(rng)
        case 5:
            return _join(rng, "manchu first") + _draw_given(rng)
        case 6:
            return _join(rng, "korean first", *rng.choice((("korean last",), ("korean last",) * 2)))
        case 7:
            return _join(rng, *rng.choice((("hui first", "hui last"), ("dai first", "dai last"))))
        case _:
            return _join(rng, "zhuang first") + _draw_given(rng)


def _draw_foreign(rng: random.Random) -> str:
    match rng.choices(range(3), (12, 5, 83))[0]:
        case 0:
            return _join(rng, "japanese first", "japanese last")
        case 1:
            middle = () if rng.random() < 0.2 else ("vietnamese middle",)
            return _join(rng, "vietnamese first", *middle, "vietnamese last")
        case _:
            parts = [_draw_part(rng) for _ in range(rng.choices((1, 2, 3), (0.35, 0.55, 0.1))[0])]
            if len(parts) > 1 and rng.random() < 0.06:
                parts[rng.randrange(1, len(parts))] = rng.choice("ABCDEFGHJKLMPRSTVW")
                parts.append(_draw_part(rng))
            return _draw_dot(rng).join(parts)


def _draw_dot(rng: random.Random) -> str:
    return rng.choices("·•・‧", (88, 4, 4, 4))[0]


def _draw_part(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return rng.choice(_load_parts()["western"])
    size = rng.choices((2, 3, 4, 5), (0.3, 0.4, 0.2, 0.1))[0]
    return "".join(rng.choice(_load_parts()["syllables"]) for _ in range(size))


def _draw_shortened(rng: random.Random) -> str:
    return _draw_surname(rng) + rng.choice(_FILLERS)


def _draw_any(rng: random.Random) -> str:
    maker = rng.choices(
        (_draw_han, _draw_minority, _draw_foreign, _draw_shortened), (0.66, 0.13, 0.14, 0.07)
    )[0]
    return maker(rng)


_MAKERS: Mapping[str, Callable[[random.Random], str]] = {
    "any": _draw_any,
    "foreign": _draw_foreign,
    "han": _draw_han,
    "minority": _draw_minority,
    "shortened": _draw_shortened,
}


def write_frames(seed: int, documents: int, pool: ChineseNames = ChineseNames()) -> Iterator[GoldDocument]:
    """Yield documents of some random frames each, filled with names."""
    frames = [line for line in _FRAMES.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    rng = random.Random(seed)
    for number in range(documents):
        text, spans = "", list[GoldSpan]()
        between = rng.choice(("\n", "\n", "\n", "", "\n\n"))
        for frame in rng.sample(frames, rng.randint(3, 9)):
            text = _fill(frame.replace("\\n", "\n").replace("\\t", "\t"), text, spans, pool, rng) + between
        document = GoldDocument(f"frames-{number}", text, "zh", (tuple(spans),))
        yield _damage(document, rng) if rng.random() < _DAMAGED else document


def _damage(document: GoldDocument, rng: random.Random) -> GoldDocument:
    """Return a document as narrow columns and poor scans have it: names are broken by line ends or spaces."""
    places = [match.start() for match in _WITHIN.finditer(document.text)]
    if rng.random() < 0.5:
        width = rng.randint(9, 36)
        return _edit(document, [(at, at, "\n") for at in places if at % width == 0])
    share = rng.choice((0.1, 0.3, 0.5))
    return _edit(document, [(at, at, " ") for at in places if rng.random() < share])


def _edit(
    document: GoldDocument, edits: Iterable[tuple[int, int, str]], people: Set[int] = frozenset()
) -> GoldDocument:
    """Return a document with other text in some ranges, and its people moved along.

    Args:
        document: the document.
        edits: ranges with what replaces each; none is partly in a name.
        people: starts of the ranges whose new text is a person's name.
    """
    pieces, last, size = list[str](), 0, 0
    shifts: list[tuple[int, int]] = []  # of what begins at or after a place
    spans = list[GoldSpan]()
    for start, end, shown in sorted(edits):
        pieces += (document.text[last:start], shown)
        size += start - last + len(shown)
        if start in people and shown:
            spans.append(GoldSpan(size - len(shown), size, "PERSON", shown, "DIRECT"))
        shifts.append((end, size - end))
        last = end
    text = "".join((*pieces, document.text[last:]))

    def move(place: int, ends: bool) -> int:
        found = (
            bisect_left(shifts, place, key=itemgetter(0))
            if ends
            else bisect_right(shifts, place, key=itemgetter(0))
        )
        return place + (shifts[found - 1][1] if found else 0)

    for span in document.annotations[0]:
        start, end = move(span.start, False), move(span.end, True)
        spans.append(replace(span, start=start, end=end, entity=text[start:end]))
    return GoldDocument(document.id, text, "zh", (tuple(sorted(spans, key=attrgetter("start"))),))


def _fill(frame: str, text: str, spans: list[GoldSpan], pool: ChineseNames, rng: random.Random) -> str:
    """Return `text` with a frame after it, and add the names to `spans`."""
    # A list has names of one kind more often than a mixture.
    kind = rng.choices(("any", "han", "minority", "foreign"), (0.66, 0.14, 0.1, 0.1))[0]
    people: dict[str, str] = {}
    for index, piece in enumerate(_SLOT.split(frame)):
        if index % 2 == 0:
            text += piece
        elif piece.isupper():
            text += _THINGS[piece](rng)
        else:
            shown = people.setdefault(piece, pool.draw(kind, rng))
            spans.append(GoldSpan(len(text), len(text) + len(shown), "PERSON", shown, "DIRECT"))
            text += shown
    return text


def rename_people(documents: Sequence[GoldDocument], seed: int, copies: int) -> Iterator[GoldDocument]:
    """Yield `copies` copies of each document with other names, the same for the same one within a document.

    In every other one names also stand for roles and pronouns, and roles before names are left out: then the
    sentence alone tells that somebody is named.
    """
    pool, rng = ChineseNames(), random.Random(seed)
    for index, document in enumerate(documents):
        for number in range(copies):
            renamed = _rename(document, number, pool, rng)
            yield _hide_roles(renamed, pool, rng) if (index + number) % 2 else renamed


def _hide_roles(document: GoldDocument, pool: ChineseNames, rng: random.Random) -> GoldDocument:
    starts = {span.start for span in document.annotations[0]}
    inside = {place for span in document.annotations[0] for place in range(span.start, span.end)}
    people: dict[str, str] = {}
    edits: list[tuple[int, int, str]] = []
    for role in _ROLES.finditer(document.text):
        if role.start() in inside or role.end() - 1 in inside:
            continue
        if role.end() in starts:
            edits += [(*role.span(), "")] if rng.random() < _HIDDEN_ROLES else []
        elif rng.random() < _NAMED_ROLES:
            edits.append((*role.span(), people.setdefault(role.group(), pool.draw("any", rng))))
    return _edit(document, edits, {start for start, _, _ in edits})


def _rename(document: GoldDocument, number: int, pool: ChineseNames, rng: random.Random) -> GoldDocument:
    text, spans, last = "", list[GoldSpan](), 0
    people: dict[str, str] = {}
    whole = rng.random() < 0.7  # courts shorten names; in the other copies many stay so
    for span in sorted(document.annotations[0], key=lambda one: one.start):
        if span.type != "PERSON" or span.start < last or span.end - span.start < 2:
            continue
        old = document.text[span.start : span.end]
        text += document.text[last : span.start]
        if old not in people:
            keep = not whole and ("某" in old or rng.random() < 0.3)
            people[old] = pool.draw("shortened" if keep else "any", rng)
        shown = people[old] if " " not in old else " ".join(people[old])  # signatures are spaced out
        spans.append(replace(span, start=len(text), end=len(text) + len(shown), entity=shown))
        text += shown
        last = span.end
    return GoldDocument(f"{document.id}-{number}", text + document.text[last:], "zh", (tuple(spans),))


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices("0123456789", k=count))


def _draw_date(rng: random.Random) -> str:
    year, month, day = rng.randint(1950, 2024), rng.randint(1, 12), rng.randint(1, 28)
    return rng.choice(
        (
            f"{year}年{month}月{day}日",
            f"{year}-{month:02d}-{day:02d}",
            f"{year}.{month}.{day}",
            f"{year}年{month}月",
        )
    )


_THINGS: Mapping[str, Callable[[random.Random], str]] = {
    "C": lambda rng: rng.choice(("", "", rng.choice(_TOWNS)[:2])) + rng.choice(_BRANDS) + rng.choice(_TRADES) + rng.choice(("有限公司", "有限责任公司", "股份有限公司")),
    "D": _draw_date,
    "E": lambda rng: f"{''.join(rng.choices('abcdefghjklmnwxyz', k=rng.randint(2, 6)))}{_digits(rng, rng.randint(0, 5))}@{rng.choice(('example.com', 'mail.example.com', 'example.org'))}",
    "G": lambda rng: rng.choice(_COUNTRIES),
    "I": lambda rng: _digits(rng, 17) + rng.choice("0123456789X"),
    "L": lambda rng: rng.choice(_LATIN),
    "M": lambda rng: f"{rng.randint(1, 999) * 10 ** rng.randint(0, 3)}{rng.choice(('元', '元', '.00', '万元', ''))}",
    "N": lambda rng: str(rng.randint(1, 300)),
    "P": lambda rng: f"1{rng.choice('3578')}{_digits(rng, 9)}",
    "R": lambda rng: f"（{rng.randint(2010, 2024)}）{rng.choice(_PROVINCES)}{_digits(rng, 4)}{rng.choice(('民初', '刑初', '民终', '执'))}{rng.randint(1, 9999)}号",
    "T": lambda rng: rng.choice(_TOWNS),
}  # fmt: skip
