from __future__ import annotations

import random
import string

import pytest

from lexveil.nlp.readers.legibility import Verdict, find_shift, judge

READABLE = {
    "Chinese": "原告与被告于二〇一九年五月四日签订房屋租赁合同，约定租金每月三千元，押金九千元。合同到期后，"
    "被告拒绝退还押金，原告遂诉至本院，请求判令被告返还押金并支付利息。",
    "Polish": "Sąd po wysłuchaniu stron stwierdził, że umowa najmu została podpisana przez "
    "obie strony, a najemca "
    "płacił czynsz co miesiąc aż do chwili, gdy wynajmujący wypowiedział ją na piśmie.",
    "Russian": "Суд выслушал стороны и установил, что договор аренды подписан обеими сторонами, "
    "а арендатор платил "
    "за квартиру каждый месяц до тех пор, пока арендодатель не отказался от договора.",
    "Greek": "Το δικαστήριο άκουσε τους διαδίκους και κρίνει ότι η σύμβαση μίσθωσης "
    "υπογράφηκε και από τους δύο, και "
    "ότι ο μισθωτής πλήρωνε το μίσθωμα κάθε μήνα.",
    "Vietnamese": "Tòa án đã nghe các bên trình bày và xác định rằng hợp đồng thuê nhà đã được cả "
    "hai bên ký, người "
    "thuê đã trả tiền nhà hàng tháng cho đến khi chủ nhà chấm dứt hợp đồng.",
    "Arabic": "استمعت المحكمة إلى الطرفين وقررت أن عقد الإيجار وقعه الطرفان وأن المستأجر دفع "
    "الأجرة كل شهر.",
    "Hindi": "न्यायालय ने दोनों पक्षों को सुना और पाया कि किराये के अनुबंध पर दोनों ने हस्ताक्षर किए थे।",
    "contents": "1. Definitions ............ 3\n2. Term ................... 5\n3. Governing law "
    ".......... 9\n"
    * 4,
    "form": "Name: ______________________ Date: ____/____/____ [ ] yes [X] no\n" * 5,
}  # fmt: skip


@pytest.mark.parametrize("name", READABLE)
def test_any_language_and_form_is_text(name: str) -> None:
    assert judge(READABLE[name]) is not Verdict.no_text


@pytest.mark.parametrize("name", ["Polish", "Russian", "Greek"])
def test_mixed_letters_of_any_alphabet_are_none(name: str) -> None:
    text = READABLE[name].casefold()
    letters = sorted({letter for letter in text if letter.isalpha()})
    mixed = letters[:]
    random.Random(1).shuffle(mixed)
    assert judge(text.translate(str.maketrans(dict(zip(letters, mixed, strict=True))))) is Verdict.no_text


def test_rare_characters_are_no_chinese() -> None:
    rng = random.Random(2)
    assert judge("".join(chr(rng.randrange(0x3400, 0x4DB0)) for _ in range(200))) is Verdict.no_text


@pytest.mark.parametrize("text", ["", "Exhibit 7", "4 May 2019", "\ue001 \ue002", "a" * 15])
def test_what_is_short_is_not_judged(text: str) -> None:
    assert judge(text) is Verdict.short


@pytest.mark.slow
def test_hostile_texts_are_judged_in_bounded_time() -> None:
    for piece in ("(", "a!", "a1", "x@", "\ue000", "((a", "€", "a.b.", "_ "):
        judge(piece * 200_000)
        find_shift(piece * 200_000)


def test_letters_moved_within_the_alphabet_are_moved_back() -> None:
    text = (
        "The tenant paid the rent for the flat in the street and the landlord gave notice that it was due. "
        * 2
    )
    small, large = string.ascii_lowercase, string.ascii_uppercase
    moved = text.translate(str.maketrans(small + large, small[13:] + small[:13] + large[13:] + large[:13]))
    table = find_shift(moved)
    assert table is not None
    assert moved.translate(table) == text
