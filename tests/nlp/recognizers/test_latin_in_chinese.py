"""Names in Latin letters within Chinese text; what must be found is marked with ⟦ ⟧."""

from __future__ import annotations

import pytest

from lexveil.nlp.detection.detector import Detector
from lexveil.nlp.recognizers.person_latin_zh import LatinPersonInChineseRecognizer
from tests.nlp.recognizers.marked import find_in, normalize


@pytest.mark.parametrize(
    "text",
    [
        "原告⟦John Smith⟧诉称，被告⟦Mary Brown⟧未支付货款。",
        "公司总经理⟦Michael Jordan⟧先生与财务经理⟦Linda Wu⟧女士出席会议。",
        "收件人：⟦David Miller⟧\n寄件人：⟦Anna⟧\n电话：13800000000",
        "姓名：⟦Roe, Ada⟧  国籍：英国",
        "员工⟦Emily Zhang⟧于2020年入职，直属上级为⟦Tom⟧。",
        "我跟⟦Kevin⟧说了，让⟦Lucy⟧去签字。",
        "董事⟦CHAN Tai Man⟧ 陳大文及⟦WONG Siu Ming⟧ 黃小明出席會議。",
        "申請人⟦LEE Ka Yan, Grace⟧由大律師代表。",
        "陳大文（⟦CHAN TAI MAN⟧）又名⟦Peter Chan⟧，持有身份證。",
        "由Mr ⟦Peter Wong⟧盤問。",
        "穆罕默德·阿里（⟦Muhammad Ali⟧）到庭。",
        "⟦ZHANG Wei⟧于2019年离境。",
        "英文名⟦Kelvin⟧，现任财务总监。",
    ],
)
def test_people_by_cue_or_form(text: str) -> None:
    assert find_in(LatinPersonInChineseRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "请使用Microsoft Word打开附件，Adobe Reader也可以，Windows版本不限。",
        "请用PowerPoint制作PPT，用Outlook发送邮件，Zoom会议号稍后公布。",
        "收件人：HR\n抄送：Legal Team\n主题：放假",
        "本公司与Ada Roe Limited签订合同，Roe Group为担保人。",
        "向Apple、Samsung采购的iPhone、Galaxy手机已到货。",
        "会计Excel表格由翻译Word文档附后，IT经理确认。",
        "世界卫生组织（World Health Organization）发布公告。",
        "Peter Chan基金会与John Hopkins大学合作。",
        "联系邮箱：John.Smith@example.com，Wi-Fi密码见白板。",
        "A.合同有效 B.合同无效 C.合同可撤销",
    ],
)
def test_brands_programs_and_institutions_are_left_alone(text: str) -> None:
    assert find_in(LatinPersonInChineseRecognizer(), text) == normalize(text)


def test_they_are_masked_in_a_chinese_document() -> None:
    text = "原告John Smith诉称，货款至今未付。被告辩称，合同由CHAN Tai Man签订，与其无关。" * 2
    found = {text[span.start : span.end] for span in Detector.load("rules").detect(text)}
    assert {"John Smith", "CHAN Tai Man"} <= found
