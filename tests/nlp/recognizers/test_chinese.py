"""Chinese: people, homes and kin invented for these tests."""

from __future__ import annotations

import pytest

from lexveil.nlp.citations import citations
from lexveil.nlp.recognizers.address_zh import ChineseAddressRecognizer
from lexveil.nlp.recognizers.base import RuleRecognizer
from lexveil.nlp.recognizers.birth_zh import ChineseAgeBirthRecognizer
from lexveil.nlp.recognizers.family_zh import ChineseFamilyRecognizer
from lexveil.nlp.recognizers.organization_zh import ChineseOrganizationRecognizer
from lexveil.nlp.recognizers.person_zh import ChinesePersonRecognizer
from lexveil.nlp.recognizers.phone_zh import ChinesePhoneRecognizer
from lexveil.nlp.text import NormalizedText


def pieces(recognizer: RuleRecognizer, text: str) -> set[str]:
    normal = NormalizedText.of(text).text
    return {normal[f.start : f.end] for f in recognizer.find(normal)}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("被告人赵立强，男，汉族。", {"赵立强"}),
        ("被告人王自成窜至某村。被告人王自成到案。被告人王自成认罪。", {"王自成"}),
        ("被告人李慢犯盗窃罪。李慢均未到案。", {"李慢"}),
        ("被害人钱某、孙某某、周某甲、吴某1、郑某一的陈述", {"钱某", "孙某某", "周某甲", "吴某1", "郑某一"}),
        ("黄某和、谢某的证言", {"黄某和", "谢某"}),
        ("被告人吴xx、单××的供述", {"吴xx", "单××"}),
        ("本市某小区某公司", set()),
        ("被告人欧阳晓兰到庭", {"欧阳晓兰"}),
        ("被告人阿依努尔·买买提到案", {"阿依努尔·买买提"}),
        ("指派检察员顿艳娜出庭支持公诉", {"顿艳娜"}),
        ("审判长钱力 人民陪审员畅平 二〇一八年三月一日 书记员冯菲", {"钱力", "畅平", "冯菲"}),
        ("审 判 长  张 晓 春", {"张 晓 春"}),
        ("马旦明盗窃罪一审刑事判决书", {"马旦明"}),
        ("被告人唐某，又名唐虎，绰号“小老虎”。", {"唐某", "唐虎", "小老虎"}),
        ("证人罗某的证言：老罗说他在场，一个姓罗的人", {"罗某", "老罗", "罗"}),
        ("被告人章根林与江某，根林后逃离", {"章根林", "江某", "根林"}),
        ("公安机关安全平台于同日立案", set()),
        ("被告人及其辩护人提出被害人有过错", set()),
    ],
)
def test_people(text: str, found: set[str]) -> None:
    assert pieces(ChinesePersonRecognizer(), text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1985年3月2日出生", {"1985年3月2日"}),
        ("一九八〇年五月一日出生", {"一九八〇年五月一日"}),
        ("生于1959年8月", {"1959年8月"}),
        ("1981年出生，汉族", {"1981年"}),
        ("出生日期：1990-01-02", {"1990-01-02"}),
        ("（女，13岁）、十一周岁、现年45", {"13岁", "十一周岁", "45"}),
        ("奸淫不满十四周岁的幼女，年满18周岁", set()),
        ("2019年3月1日生效", set()),
    ],
)
def test_ages_and_births(text: str, found: set[str]) -> None:
    assert pieces(ChineseAgeBirthRecognizer(), text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("其岳母李某与妻子到场", {"岳母", "妻子"}),
        ("趁其三姨离家", {"三姨"}),
        ("冯某某之子冯甲", {"之子"}),
        ("育有一子一女", {"一子一女"}),
        ("其子女年幼，其女友在场", {"其子女"}),
        ("父母、子女、配偶、兄弟姐妹", set()),
        ("夫妻关系存续期间", set()),
    ],
)
def test_kin(text: str, found: set[str]) -> None:
    assert pieces(ChineseFamilyRecognizer(), text) == found


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("现住北京市海淀区中关村大街27号3单元501室。", "ADDRESS", {"北京市海淀区中关村大街27号3单元501室"}),
        ("户籍所在地：贵州省凯里市，", "ADDRESS", {"贵州省凯里市"}),
        ("家住云南省镇雄县。", "ADDRESS", {"云南省镇雄县"}),
        ("位于飞云街道××村××路××号的家中", "ADDRESS", {"飞云街道××村××路××号"}),
        ("窜至李万乡永兴屯村许某家", "ADDRESS", {"李万乡永兴屯村"}),
        ("在福州市仓山区对湖街道万安路6号", "ADDRESS", {"福州市仓山区对湖街道万安路6号"}),
        ("出生于湖南省永州市，", "LOCATION", {"湖南省永州市"}),
        ("从杭州市西湖区至绍兴市越城区", "LOCATION", {"杭州市西湖区", "绍兴市越城区"}),
    ],
)
def test_places(text: str, kind: str, found: set[str]) -> None:
    normal = NormalizedText.of(text).text
    results = ChineseAddressRecognizer().find(normal)
    kinds = {normal[f.start : f.end]: f.type for f in sorted(results, key=lambda f: -f.score)[::-1]}
    assert {piece for piece, its in kinds.items() if its == kind} == found


@pytest.mark.parametrize(
    "number",
    [
        "13800138000",
        "138 0013 8000",
        "138-0013-8000",
        "+86 13800138000",
        "(+86)13800138000",
        "0571-87654321",
        "057187654321",
        "(0431)5556789",
        "010 8765 4321",
        "400-820-8820",
        "１３８００１３８０００",
    ],
)
def test_phones(number: str) -> None:
    assert pieces(ChinesePhoneRecognizer(), f"致电{number}，") == {NormalizedText.of(number).text}


def test_numbers_that_are_no_phones() -> None:
    assert (
        pieces(ChinesePhoneRecognizer(), "存入6222021234567890123元，第00123456789012号，20180101") == set()
    )


def test_companies() -> None:
    assert pieces(ChineseOrganizationRecognizer(), "被告北京云帆科技有限公司") == {"北京云帆科技有限公司"}
    assert pieces(ChineseOrganizationRecognizer(), "该公司、保险公司") == set()


@pytest.mark.parametrize("seat", ["浙江省淳安县人民法院", "吉林省镇赉县人民检察院", "宁波市公安局鄞州分局"])
def test_courts_keep_their_seat(seat: str) -> None:
    text = f"被告人向{seat}提出"
    assert any(text[start:end] == seat for start, end in citations(text))


def test_a_home_beside_an_office_is_no_seat() -> None:
    text = "住淳安县公安局宿舍3栋201室"
    assert not citations(text)
