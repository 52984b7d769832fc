"""Case numbers, and which of them are the document's own; what must be found is marked with ⟦ ⟧."""

from __future__ import annotations

import pytest

from lexveil.nlp.recognizers.case_number import LexveilCaseNumberRecognizer, find_own_numbers
from tests.nlp.recognizers.marked import find_in, normalize, unmark


@pytest.mark.parametrize(
    "text",
    [
        "Case No. ⟦1:20-cv-01234-ABC⟧",
        "Docket No. ⟦12-3456⟧",
        "Civil Action No. ⟦3:19-CV-555⟧",
        "Index No. ⟦650123/2019⟧",
        "Claim No. ⟦HQ17X01234⟧",
        "Report No. ⟦2019-00123⟧",
        "complaint number ⟦2020-0042⟧",
        "Ref: ⟦ABC/123/2019⟧",
        "W.P.(C) No. ⟦1234 of 2018⟧",
        "⟦QB-2019-001234⟧",
        "(Application no. ⟦12345/67⟧)",
        "nos. ⟦1234/02 and 345/04⟧",
        "⟦12345/67⟧ was lodged",
        "Aktenzeichen: ⟦7 O 123/19⟧",
        "Az. ⟦I ZR 12/03⟧",
        "Geschäftszeichen ⟦12 C 345/20⟧",
        "⟦5 StR 123/18⟧",
        "⟦1 BvR 1234/12⟧",
        "pourvoi n° ⟦18-12.345⟧",
        "RG n° ⟦18/01234⟧",
        "⟦(2018)浙01民终123号⟧",
        "⟦（2019）京0105刑初456号⟧",
        "⟦（2019）京0105刑初456号之一⟧",
        "⟦杭检公诉刑诉〔2018〕12号⟧",
        "编号⟦（2022）京0108民初351号⟧",
        "⟦110年度訴字第1234號⟧",
        "⟦109 年度 台上字 第 2345 號⟧",
        "⟦HCA 1234/2019⟧",
        "高等法院民事訴訟⟦2019年第1234號⟧",
        "高院民事訴訟 ⟦2019 年第 1234 號⟧",
    ],
)
def test_case_numbers(text: str) -> None:
    assert find_in(LexveilCaseNumberRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "Case No. 12",
        "no case to answer",
        "Section 12-34",
        "Rule 12(b)(6)",
        "page 3/4",
        "24/7",
        "§ 823 Abs. 1",
        "in 1999",
        "the case of Ms Roe",
        "Aktenzeichen unbekannt",
        "第12号",
        "2018年",
    ],
)
def test_numbers_of_no_case(text: str) -> None:
    assert find_in(LexveilCaseNumberRecognizer(), text) == unmark(text)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("CASE OF X\n\n(Application no. 1234/05)\n", {"1234/05"}),
        ("CASE OF X\n\n(Applications nos. 1234/05 and 99/06)\n", {"1234/05", "99/06", "1234/05 and 99/06"}),
        ("The case originated in an application (no. 1234/05) against Turkey", {"1234/05"}),
        ("Case 1:20-cv-01234-ABC Document 5\n", {"1:20-cv-01234-ABC"}),
        ("No. 12-3456\n", {"12-3456"}),
        ("Index No. 650123/2019\n", {"650123/2019"}),
        ("In Case C-123/04\n", {"C-123/04"}),
        ("Neutral Citation Number: [2019] EWHC 123\n", {"[2019] EWHC 123"}),
        ("Roe v Poe [2019] EWHC 123\n", {"[2019] EWHC 123"}),
        ("- 7 O 123/19 -\n", {"7 O 123/19"}),
        ("（2018）浙01民终123号\n", {"(2018)浙01民终123号"}),
        ("臺灣臺北地方法院民事判決\n110年度訴字第1234號\n", {"110年度诉字第1234号"}),
        (
            "Vorinstanzen:\nLG Köln, Entscheidung vom 03.04.2012 - 6 O 12/11 -\n",
            {"6 O 12/11"},
        ),
    ],
)
def test_own_numbers(text: str, numbers: set[str]) -> None:
    assert find_own_numbers(unmark(text)) == numbers


@pytest.mark.parametrize(
    "text",
    [
        "The parties rely on Vane v. Turkey, no. 1234/05.",
        "under Regulation No. 2016/679",
        "依照（2018）浙01民终123号民事判决",
        "x" * 4000 + "\nNo. 12-3456\n",
        "as the court in the long line of cases that followed said, Docket No. 12-3456",
        "",
    ],
)
def test_numbers_of_other_cases(text: str) -> None:
    assert find_own_numbers(unmark(text)) == frozenset()
