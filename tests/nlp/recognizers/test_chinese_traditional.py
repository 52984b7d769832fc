"""Documents of Hong Kong and Taiwan, in Traditional characters; all invented, and marked with ⟦ ⟧."""

from __future__ import annotations

import pytest

from lexveil.nlp.citations import citations
from lexveil.nlp.recognizers.address_zh import ChineseAddressRecognizer
from lexveil.nlp.recognizers.birth_zh import ChineseAgeBirthRecognizer
from lexveil.nlp.recognizers.case_number import LexveilCaseNumberRecognizer
from lexveil.nlp.recognizers.date import LexveilDateRecognizer
from lexveil.nlp.recognizers.family_zh import ChineseFamilyRecognizer
from lexveil.nlp.recognizers.person_zh import ChinesePersonRecognizer
from lexveil.nlp.text import NormalizedText
from tests.nlp.recognizers.marked import find_in, mark, normalize, unmark


@pytest.mark.parametrize(
    "text",
    [
        "原告⟦葛蘭芝⟧",
        "被告⟦孟國勇⟧應給付原告⟦葛蘭芝⟧新臺幣五萬元",
        "抗告人⟦盧義雄⟧",
        "相對人⟦蕭玉潔⟧",
        "告訴人⟦龔麗娟⟧",
        "法定代理人⟦鄧偉倫⟧",
        "複代理人⟦鍾佩珊⟧律師",
        "立遺囑人⟦譚慶祥⟧",
        "申索人⟦關德輝⟧",
        "代表律師⟦龍偉業⟧",
        "書記官⟦萬淑貞⟧\n",
        "其妻⟦陳美惠⟧",
        "證人⟦劉國棟⟧、⟦鄭瑞麟⟧的證言",
        "聲請人⟦蘇麗麗⟧聲請更生",
        "選任辯護人⟦盧義雄⟧律師",
        "司法事務官⟦韓建華⟧\n",
        "警員⟦溫偉強⟧作供",
        "呈請人⟦歐陽慧珊⟧",
        "配偶⟦龐美玲⟧",
        "監督人⟦魯慶餘⟧律師",
        "具保人⟦馮家齊⟧",
        "⟦張某⟧與⟦廖佩佳⟧係夫妻",
    ],
)
def test_people(text: str) -> None:
    assert find_in(ChinesePersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "住⟦臺北市大安區忠孝東路四段100號5樓之1⟧",
        "住所：⟦高雄市三民區建國一路12巷3弄5號⟧",
        "現住⟦九龍旺角彌敦道123號8樓A室⟧",
    ],
)
def test_homes(text: str) -> None:
    assert find_in(ChineseAddressRecognizer(), text, "ADDRESS") == normalize(text)


@pytest.mark.parametrize(
    "text",
    ["⟦民國75年3月2日⟧生", "⟦民國一百零一年⟧出生", "出生於⟦民國 64 年 11 月 3 日⟧", "民國110年生效"],
)
def test_births_by_the_years_of_the_republic(text: str) -> None:
    assert find_in(ChineseAgeBirthRecognizer(), text, "BIRTH_DATE") == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "於⟦民國110年3月5日⟧",
        "⟦中華民國 110 年 3 月 5 日⟧",
        "⟦109年12月1日⟧到職",
        "有期徒刑10年3月",
        "第109年度",
    ],
)
def test_dates(text: str) -> None:
    assert find_in(LexveilDateRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "⟦110年度訴字第1234號⟧",
        "⟦109年度台上字第2345號⟧",
        "⟦108年度偵字第567號⟧起訴書",
        "刑事上訴 ⟦2018 年第 12 號⟧",
        "第110號",
    ],
)
def test_case_numbers(text: str) -> None:
    assert find_in(LexveilCaseNumberRecognizer(), text) == normalize(text)


@pytest.mark.parametrize("text", ["⟦其母親⟧在場", "⟦長子⟧與⟦次女⟧", "⟦岳父⟧到場"])
def test_kin(text: str) -> None:
    assert find_in(ChineseFamilyRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "⟦臺灣士林地方法院⟧刑事判決",
        "⟦臺北高等行政法院⟧",
        "⟦最高法院⟧認為",
        "經⟦臺灣臺北地方檢察署⟧檢察官起訴",
        "⟦智慧財產及商業法院⟧",
        "⟦香港特別行政區終審法院⟧",
        "⟦土地審裁處⟧",
        "（⟦最高法院109年度台上字第2345號、108年度台上字第12號判決意旨參照⟧）",
        "⟦釋字第748號解釋⟧",
        "⟦《基本法》第二十八條⟧",
    ],
)
def test_law_and_courts_stay(text: str) -> None:
    assert mark(unmark(text), citations(unmark(text))) == normalize(text)


@pytest.mark.parametrize(
    ("traditional", "simplified"),
    [
        ("訴訟代理人", "诉讼代理人"),
        ("檢察官聲請羈押", "检察官声请羁押"),
        ("臺灣與台灣", "台湾与台湾"),
        ("裡裏", "里里"),
        ("衞衛", "卫卫"),
        ("葛兰芝", "葛兰芝"),
        ("café – naïve", "café - naïve"),
    ],
)
def test_folding_keeps_the_length(traditional: str, simplified: str) -> None:
    assert NormalizedText.of(traditional).text == simplified
    assert len(traditional) == len(simplified)
