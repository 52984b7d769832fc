"""Names of Chinese courts, prosecutors and the police: law with their place, without the sentence around."""

from __future__ import annotations

import pytest

from lexveil.nlp.citations.offices_zh import find_offices, split_places


@pytest.mark.parametrize(
    "text",
    [
        "本院委托<北京市海淀区人民法院>送达。",
        "被告人在<上海市公安局浦东分局>投案",
        "<江苏省南京市中级人民法院>与<浙江省高级人民法院>",
        "由<广东省深圳市人民检察院>提起公诉",
    ],
)
def test_an_office_with_its_place(text: str) -> None:
    plain = text.replace("<", "").replace(">", "")
    wanted = [piece.split(">")[0] for piece in text.split("<")[1:]]
    assert [plain[start:end] for start, end in find_offices(plain)] == wanted


@pytest.mark.parametrize("text", ["他住在北京市海淀区。", "", "The High Court of Hong Kong"])
def test_a_place_alone_is_no_office(text: str) -> None:
    assert find_offices(text) == []


def test_a_row_of_places_is_divided_before_each_province() -> None:
    text = "江苏省南京市与浙江省杭州市"
    pieces = [text[start:end] for start, end in split_places(text, 0, len(text))]
    assert [piece for piece in pieces if piece] == ["江苏省南京市", "浙江省杭州市"]


def test_only_the_given_range_is_divided() -> None:
    text = "江苏省南京市与浙江省杭州市"
    assert [text[start:end] for start, end in split_places(text, 3, 6) if start < end] == ["南京市"]
