"""Names in fields of records, and names by the words around them. What must be found is marked with ⟦ ⟧."""

from __future__ import annotations

import pytest

from lexveil.nlp.recognizers.field import FieldRecognizer
from lexveil.nlp.recognizers.nickname import NicknameRecognizer
from lexveil.nlp.recognizers.person import EnglishPersonRecognizer
from lexveil.nlp.recognizers.person_continental import ContinentalPersonRecognizer
from lexveil.nlp.recognizers.person_de import GermanPersonRecognizer
from lexveil.nlp.recognizers.person_in import IndianPersonRecognizer
from lexveil.nlp.recognizers.speaker import SpeakerRecognizer
from tests.nlp.recognizers.marked import find_in, normalize


@pytest.mark.parametrize(
    "text",
    [
        '{"first_name": "⟦Quilla⟧", "lastName": "⟦Pell-Ro⟧", "city": "Pell", "fullName": "⟦Quilla Pell⟧"}',
        '{"name": "Quill Holdings Ltd", "company_name": "Pell & Rorke", "surname": "R2-D2"}',
        "{'nachname': '⟦Pell⟧', 'Vorname' : '⟦Quilla⟧'}",
        "<claimant><Surname>⟦Pell⟧</Surname><First_Name>⟦Quilla⟧</First_Name><Title>Director</Title></claimant>",
        "ref,surname,forename,remark\n1,⟦Pell⟧,⟦Quillán⟧,owes rent\n2,⟦Ó Rorke⟧,⟦Quill⟧,moved to Pellstadt\n",
        "Nr;Nachname;Vorname;Ort\n1;⟦Pell⟧;⟦Quilla⟧;Quillstadt\n2;⟦Rorke⟧;;Pellstadt\n\nPell;geht;nach;Hause",
        "| Role | Name |\n|---|---|\n| agent | ⟦Quilla Pell⟧ |\n| firm | Pell Ltd |\n",
        "The surname, the forename and the address were missing.\nOne, two, three and four.",
        "Her name, she said, was long.\nPell, he thought, is shorter.",
    ],
)
def test_names_in_fields_and_columns(text: str) -> None:
    assert find_in(FieldRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "I, the undersigned,\n\n⟦QUILLA THORA PELL-RORKE⟧\n\ndo hereby make oath",
        "THE PETITION OF ⟦QUILLA McRORKE⟧ or ⟦PELL⟧, residing at Quillstadt",
        "the widow of the late ⟦Quill Pell⟧; the late payment of rent; the estate of the deceased",
        "Ofc ⟦Pell⟧ and PC 4471 ⟦Rorke⟧ met HCP ⟦Quill⟧; PC World sells; the DC Council sat",
        "(Ch/Insp ⟦Pell⟧) reviewed detention",
        "RP's neighbor ⟦Quilla⟧ has video; the pursuer's son-in-law ⟦Pell⟧ averred",
        "my kids ⟦Quill⟧ and ⟦Pella⟧ saw",
        "BETWEEN (1) ⟦QUILLA PELL⟧ of The Old Mill and (2) ⟦THORA PELL-RORKE⟧ (together the tenants)",
        "(1) SCOPE AND QUANTITY of the goods (2) DELIVERY TERMS (see below)",
        "foreman ⟦Quill Pell⟧ and PCSO ⟦Rorke⟧ met Tmt. ⟦Quilla⟧",
        "jess - pls send it",
        "send - pls",
    ],
)
def test_english_names_by_their_words(text: str) -> None:
    text = text.replace("jess -", "⟦jess⟧ -")
    assert find_in(EnglishPersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "Pell and one ⟦Quilla⟧ came on a motorcycle, and one Monday went by",
        "recovery of minors namely ⟦Quill⟧ and ⟦Pella⟧ from him",
    ],
)
def test_indian_names_by_their_words(text: str) -> None:
    assert find_in(IndianPersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "a guy they call ⟦Peanut⟧. They call the Police.",
        'Quilla Pell (a/k/a "⟦Sol⟧") and co-conspirator ⟦Dewey⟧ (last name unknown)',
        'his friend, called "⟦Bones⟧"; a firm called "Pell"',
        'letters from "⟦Bunny⟧" (Mr Quill Pell)',
    ],
)
def test_nicknames_by_their_words(text: str) -> None:
    assert find_in(NicknameRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "#ops\n⟦quilla.pell⟧  10:02\n@⟦rorke⟧ can you look\n⟦pell.r⟧  10:04\nyes",
        "群聊\n⟦建国⟧:钱什么时候还?\n⟦李卫东⟧:下周一定还\n⟦建国⟧:别再骗我\n",
        "姓名:王小明\n性别:男\n住址:苏州\n性别:女\n",
        "审判长:现在开庭。\n原告:有。\n审判长:请坐。\n被告:好。\n",
    ],
)
def test_senders_in_chats_at_work_and_in_chinese(text: str) -> None:
    assert find_in(SpeakerRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "Den ⟦Mehmet⟧ kenn ich. Der war mit der ⟦Jacqueline⟧ zusammen, der Zeuge auch.",
        "Mdt. ⟦Quillner⟧ informiert; Hausmeister: kein Eintrag",
    ],
)
def test_german_names_in_speech_and_notes(text: str) -> None:
    assert find_in(GermanPersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "il refuse, dit-elle.\nBises,\n⟦Quillonne⟧",
        "Исказ ⟦Квилића⟧ је веродостојан.",
        "Тужени ⟦Квил Пелић⟧ није приступио, а сведок ⟦Пелић⟧ ћути.",
    ],
)
def test_continental_names_by_their_words_in_both_alphabets(text: str) -> None:
    assert find_in(ContinentalPersonRecognizer(), text) == normalize(text)
