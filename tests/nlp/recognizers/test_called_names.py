"""Nicknames and the speakers of chats. What must be found is marked with ⟦ ⟧."""

from __future__ import annotations

import pytest

from lexveil.nlp.recognizers.nickname import NicknameRecognizer
from lexveil.nlp.recognizers.speaker import SpeakerRecognizer
from tests.nlp.recognizers.marked import find_in, normalize


@pytest.mark.parametrize(
    "text",
    [
        'Der Angeklagte Quillan Pell, genannt "⟦Schorsch⟧", und ein Bruder (Spitzname ⟦Kalle⟧) kamen.',
        'Bekannt unter dem Spitznamen "⟦Bomber⟧"; alias ⟦Lulu⟧ und vulgo ⟦Pepi⟧.',
        'Anna "⟦Bex⟧" Pell, who goes by "⟦Skip⟧", came.',
        'su hermano, alias "⟦El Tecolote⟧", y Ana Pell, conocida como "⟦Nena⟧"',
        'Ada Pell, dite "⟦Zizou⟧", et un ami surnommé ⟦Toto⟧.',
        'the drug known as "Quill" and a firm called "Pell"',
        'alias "Defendant"',
    ],
)
def test_a_nickname_after_the_words_that_introduce_it(text: str) -> None:
    assert find_in(NicknameRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "⟦Kurt⟧: Hast du unterschrieben?\n⟦Quilli⟧: nein\n⟦Kurt⟧: warum\n",
        "⟦Pello⟧ : alors ?\n⟦Quillo⟧ : non\n⟦Pello⟧ : bon\n",
        "[14.03.22, 09:12] ⟦Jule⟧: Hallo\n[14.03.22, 09:13] ⟦Bärbel W.⟧: Frag ihn",
        "08/11/2021, 21:14 - ⟦quilla⟧: is it true\n08/11/2021, 21:15 - Mum: no",
        "⟦景行⟧ 22:01\n睡了没\n⟦柳依依⟧ 22:02\n没，刚给我打电话\n",
        "⟦Quillo⟧, 10:02\nis it true\n⟦Anna P.⟧ 10:03\nno\n",
        "上午 10:00\n开庭\n下午 14:00\n宣判\n",
        "Anna 10:00\nQuillo 11:00\nErnst 12:00\n",  # a timetable
        "Quillung 10:30\nSaal 4\nPellung 12:00\nSaal 5\n",
        "Frage: Kannten Sie ihn?\nAntwort: nein\nFrage: Sicher?\nAntwort: ja",
        "Name: Anna Pell\nGeburtsort: Quillstadt\nBeruf: Bäckerin",
        "Quilltext: eins\nPelltext: zwei\nQuilltext: drei",
        "Beginn: 10:15\nEnde: 11:30\nThe court: 12.05.2020",
    ],
)
def test_the_speakers_of_a_chat_but_no_labels_of_a_form(text: str) -> None:
    assert find_in(SpeakerRecognizer(), text) == normalize(text)
