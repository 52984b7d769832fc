"""Chinese names in tables and headers, whatever separates the cells; all invented, marked with ⟦ ⟧."""

from __future__ import annotations

import pytest

from lexveil.nlp.recognizers.person_zh import ChinesePersonRecognizer
from tests.nlp.recognizers.marked import find_in, normalize

ROWS = (("葛兰芝", "女"), ("孟小勇", "男"), ("欧阳静", "女"), ("阿迪力·库尔班", "男"))


@pytest.mark.parametrize("separator", ["\t", "|", ",", ";", " "])
@pytest.mark.parametrize("head", ["姓名", "客户姓名", "债权人", "被保险人", "证人"])
def test_a_column_of_names(separator: str, head: str) -> None:
    lines = [separator.join((head, "性别"))]
    lines += [separator.join((f"⟦{name}⟧", sex)) for name, sex in ROWS]
    text = "\n".join(lines)
    assert find_in(ChinesePersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_column_may_stand_anywhere(place: int) -> None:
    def join(cell: str, others: tuple[str, str]) -> str:
        cells = [*others]
        cells.insert(place, cell)
        return "\t".join(cells)

    lines = [join("姓名", ("序号", "金额"))]
    lines += [join(f"⟦{name}⟧", (str(number), "300")) for number, (name, _) in enumerate(ROWS)]
    text = "\n".join(lines)
    assert find_in(ChinesePersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "股东名称（姓名）\t出资额\n⟦葛兰芝⟧\t300\n⟦孟小勇⟧\t200",
        "姓名\t电话\n⟦葛兰芝⟧\t13900000000\n\n本表由人事部编制",
        "姓名\t性别\n合计\t2",
        "姓名\t部门\n⟦葛兰芝⟧\t采购部\n小计\t1\n⟦孟小勇⟧\t行政部",
        "债权人,金额\n恒远贸易有限公司,300\n⟦葛兰芝⟧,200",
        "| 姓名 | 关系 |\n|---|---|\n| ⟦葛兰芝⟧ | 配偶 |",
        "项目\t单价\n石英砂\t35\n白水泥\t42",
        "姓名权、名誉权受到侵害的，受害人有权要求停止侵害，恢复名誉，消除影响，赔礼道歉。",
    ],
)
def test_what_is_a_row_and_what_is_none(text: str) -> None:
    assert find_in(ChinesePersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "label", ["From", "To", "Cc", "Bcc", "Reply-To", "Sender", "发件人", "收件人", "抄送", "寄件者"]
)
@pytest.mark.parametrize("name", ["葛兰芝", "欧阳静", "阿迪力·库尔班", "约翰·史密斯"])
def test_a_header_with_an_address(label: str, name: str) -> None:
    for text in (f"{label}: ⟦{name}⟧ <a1@example.com>", f'{label}: "⟦{name}⟧" <a1@example.com>\n'):
        assert find_in(ChinesePersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "发件人：⟦葛兰芝⟧\n收件人：⟦孟小勇⟧；⟦欧阳静⟧\n抄送：⟦何静⟧、⟦蒋文⟧",
        "收件人：财务部\n抄送：各部门负责人",
        "From: 客服中心 <service@example.com>",
        "From: 全体员工 <all@example.com>",
        "To: undisclosed-recipients",
        "联系人：⟦葛兰芝⟧  电话：13900000000",
        "经办人：⟦葛兰芝⟧\t审核：⟦孟小勇⟧",
        "收件人：无",
        "编制：本人",
        "参会人员：⟦葛兰芝⟧、⟦孟小勇⟧、⟦欧阳静⟧",
        "主持人：⟦葛兰芝⟧\n记录人：⟦孟小勇⟧",
        "授权代表：⟦安德烈·科瓦尔⟧",
    ],
)
def test_labels_and_who_is_no_person(text: str) -> None:
    assert find_in(ChinesePersonRecognizer(), text) == normalize(text)
