# ruff: noqa: E501, SIM905  -- lists of words read best on one line
"""Chinese sentences with names, to train on: the names are invented, and none of them is anybody's by intent.

The sentences are frames of our own (`frames_zh.txt`) and passages of a gold corpus whose names are replaced. A
quarter of all names is never used in training: benchmarks measure on those.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from zlib import crc32

from lexveil.nlp.evaluation.gold import GoldDocument, GoldSpan
from lexveil.nlp.text import NormalizedText
from lexveil.nlp.vocabulary import COMPOUND_SURNAMES_ZH, SURNAMES_ZH

_FRAMES = Path(__file__).with_name("frames_zh.txt")
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
_MINORITY_PARTS = (
    "阿卜杜拉 阿不都热合曼 阿布力孜 阿迪力 艾力 艾合买提 艾尔肯 艾买提 艾山江 阿依古丽 阿依努尔 阿孜古丽 阿曼古丽 巴哈尔古丽 布威海丽且 迪丽拜尔 迪力夏提 帕提古丽 古丽娜尔 古丽巴哈尔 "
    "古丽仙 哈力克 哈斯木 亥提且木 吉力力 加米拉 卡德尔 卡米力 克里木 库尔班 马合木提 买买提 买买提明 麦麦提 麦合木提 麦提尼牙孜 米热古丽 米吉提 木合塔尔 木沙 穆罕默德 努尔买买提 努尔古丽 "
    "帕尔哈提 帕夏古丽 热合曼 热依汗 热孜亚 如则 肉孜 萨比尔 沙吾提 赛买提 司马义 塔依尔 图尔荪 图尔迪 吐尔逊 吐尔洪 吐拉洪 托合提 外力 吾买尔 乌斯曼 西力甫 夏提古丽 雪合来提 牙生 亚森 "
    "依明 依马木 伊力哈木 依布拉音 玉素甫 玉山江 则乃甫 再努尔 祖农 祖丽胡玛尔 叶尔肯 叶尔波力 哈那提 巴合提 胡安什 加尔肯 努尔兰 赛力克 木拉提 阿依达娜 古丽扎尔 海拉提 别克 吾兰"
).split()
_TIBETAN = "扎西 卓玛 次仁 格桑 多吉 平措 旺堆 德吉 央金 尼玛 达娃 边巴 洛桑 索朗 仁青 丹增 旺姆 拉姆 白玛 顿珠 罗布 加措 贡嘎 曲珍 嘎玛 强巴 普布 米玛 巴桑 阿旺 益西 桑杰 江村 曲扎 央宗 措姆 卓嘎 群培 才让 东主 尖措 吉".split()
_MONGOL = (
    "巴特尔 其其格 乌云 苏日娜 斯琴高娃 那日苏 宝音 呼格吉勒图 额尔敦 萨仁 萨仁高娃 阿拉腾 阿拉坦其其格 敖特根 巴图 巴雅尔 布和 布仁 朝鲁 朝克图 达来 恩和 格日勒 格日勒图 哈斯 哈斯巴根 呼和 "
    "吉日嘎拉 毛敖海 孟和 孟克 莫日根 娜仁 娜仁花 那顺 那木拉 青格勒 赛罕 斯日古楞 苏和 陶格陶 特木尔 图雅 托娅 乌兰 乌力吉 乌日娜 乌尼尔 锡林 伊德日 扎那 苏雅拉图"
).split()
_YI_FIRST = "吉克 阿木 马海 曲木 沙马 阿苦 吉火 俄木 阿西 的日 尔古 比布 海来 金古 勒格 罗洪 莫色 木乃 且沙 日火 阿尔 吉木 约其".split()
_YI_LAST = "阿衣 日黑 尔古 木呷 伍果 阿呷 拉黑 古哈 子哈 有古 什布 日洛 阿牛 色哈 阿果 小兵 石布 么牛 曲布 友布 尔布 史古 阿支 沙子".split()
_SYLLABLES = (
    "阿 埃 艾 安 奥 巴 班 贝 本 比 宾 波 伯 博 布 查 达 戴 丹 德 邓 迪 蒂 丁 杜 多 厄 恩 尔 法 范 菲 费 芬 丰 佛 弗 福 盖 甘 冈 戈 格 古 哈 海 汉 汉 赫 亨 霍 基 吉 加 贾 简 杰 金 卡 凯 坎 康 科 克 肯 "
    "库 拉 莱 兰 朗 劳 勒 雷 里 利 莉 林 琳 卢 鲁 伦 罗 洛 马 玛 迈 曼 梅 门 米 密 莫 默 穆 纳 奈 南 内 尼 纽 诺 帕 潘 佩 彭 皮 平 普 齐 奇 乔 切 丘 让 热 茹 瑞 萨 塞 桑 森 沙 珊 舍 圣 施 史 什 舒 斯 "
    "苏 索 塔 泰 坦 汤 特 提 廷 图 托 瓦 万 威 韦 维 文 沃 乌 西 希 夏 谢 辛 休 雪 雅 亚 扬 耶 叶 伊 因 英 尤 约 扎 泽 詹 珍 朱 兹"
).split()
_FOREIGN = (
    "约翰 玛丽 大卫 迈克尔 詹姆斯 罗伯特 威廉 理查德 托马斯 安娜 伊丽莎白 史密斯 布朗 约翰逊 威廉姆斯 琼斯 米勒 戴维斯 安德森 杰克逊 怀特 马丁 汤普森 罗宾逊 彼得 保罗 卡特 马克 露西 苏珊 琳达 芭芭拉 "
    "彼得罗夫 伊万诺夫 伊万 娜塔莎 奥尔加 谢尔盖 德米特里 亚历山大 叶卡捷琳娜 穆勒 施密特 汉斯 沃尔夫冈 弗朗索瓦 皮埃尔 杜邦 让 卡洛斯 冈萨雷斯 罗德里格斯 马里奥 罗西 穆罕默德 艾哈迈德 哈桑 阿里 法蒂玛 "
    "辛格 库马尔 夏尔马 帕特尔 阮文雄 阮氏兰 陈文越 黎文俊 范氏花 金秀贤 朴志勋 李敏镐 崔英爱"
).split()
_JAPANESE_FIRST = "山田 佐藤 铃木 高桥 田中 伊藤 渡边 中村 小林 加藤 吉田 山本 松本 井上 木村 清水 山口 斋藤 石川 桥本 藤田 冈田 长谷川 佐佐木 三浦".split()
_JAPANESE_LAST = "太郎 一郎 健一 裕子 美穗 花子 真由美 浩二 和也 直树 大辅 惠子 由美 洋平 隆志 智子 拓也 千夏 幸子 诚".split()
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
_HELD_OUT = 4


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
            if (crc32(name.encode()) % _HELD_OUT == 0) == self.held_out or kind == "shortened":
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


def _draw_minority(rng: random.Random) -> str:
    match rng.randrange(10):
        case 0 | 1:
            return "".join(rng.sample(_TIBETAN, 2))
        case 2 | 3:
            return rng.choice(_MONGOL)
        case 4:
            return rng.choice(_YI_FIRST) + rng.choice(_YI_LAST)
        case 5:
            return rng.choice(COMPOUND_SURNAMES_ZH) + "".join(
                rng.choice(_GIVEN) for _ in range(rng.choice((1, 2)))
            )
        case 6:
            return rng.choice(_MINORITY_PARTS)
        case _:
            return "·".join(rng.sample(_MINORITY_PARTS, 2))


def _draw_foreign(rng: random.Random) -> str:
    if rng.random() < 0.15:
        return rng.choice(_JAPANESE_FIRST) + rng.choice(_JAPANESE_LAST)
    parts = rng.choices((1, 2, 3), (0.35, 0.55, 0.1))[0]
    return "·".join(_draw_part(rng) for _ in range(parts))


def _draw_part(rng: random.Random) -> str:
    if rng.random() < 0.4:
        return rng.choice(_FOREIGN)
    return "".join(rng.choice(_SYLLABLES) for _ in range(rng.choices((2, 3, 4, 5), (0.3, 0.4, 0.2, 0.1))[0]))


def _draw_shortened(rng: random.Random) -> str:
    return _draw_surname(rng) + rng.choice(_FILLERS)


def _draw_any(rng: random.Random) -> str:
    maker = rng.choices((_draw_han, _draw_minority, _draw_foreign, _draw_shortened), (0.72, 0.1, 0.1, 0.08))[
        0
    ]
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
        yield GoldDocument(f"frames-{number}", text, "zh", (tuple(spans),))


def _fill(frame: str, text: str, spans: list[GoldSpan], pool: ChineseNames, rng: random.Random) -> str:
    """Return `text` with a frame after it, and add the names to `spans`."""
    # A list has names of one kind more often than a mixture.
    kind = rng.choices(("any", "han", "minority", "foreign"), (0.7, 0.15, 0.08, 0.07))[0]
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
    """Yield `copies` copies of each document with other names, the same for the same one within a document."""
    pool, rng = ChineseNames(), random.Random(seed)
    for document in documents:
        for number in range(copies):
            yield _rename(document, number, pool, rng)


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
    "M": lambda rng: f"{rng.randint(1, 999) * 10 ** rng.randint(0, 3)}{rng.choice(('元', '元', '.00', '万元', ''))}",
    "N": lambda rng: str(rng.randint(1, 300)),
    "P": lambda rng: f"1{rng.choice('3578')}{_digits(rng, 9)}",
    "R": lambda rng: f"（{rng.randint(2010, 2024)}）{rng.choice(_PROVINCES)}{_digits(rng, 4)}{rng.choice(('民初', '刑初', '民终', '执'))}{rng.randint(1, 9999)}号",
    "T": lambda rng: rng.choice(_TOWNS),
}  # fmt: skip
