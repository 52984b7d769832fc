"""Names as people write them: in lists, in files, in India. What must be found is marked with ⟦ ⟧."""

from __future__ import annotations

import pytest

from lexveil.nlp.recognizers.file_name import FileNameRecognizer
from lexveil.nlp.recognizers.given_name import GivenNameRecognizer
from lexveil.nlp.recognizers.person_continental import ContinentalPersonRecognizer
from lexveil.nlp.recognizers.person_de import GermanPersonRecognizer
from lexveil.nlp.recognizers.person_in import IndianPersonRecognizer
from lexveil.nlp.recognizers.spaced_name import SpacedNameRecognizer
from tests.nlp.recognizers.marked import find_in, normalize, unmark


@pytest.mark.parametrize(
    "text",
    [
        "On Tuesday ⟦Gordon Quillfeather⟧ resigned.",
        "⟦Charlotte van Osgood⟧ wrote to ⟦Henry P. O'Thistle⟧.",
        "It was ⟦Louise\nQuillon⟧ who paid.",
        "Charlotte\nMarket",
        "WRITE TO ⟦GERTRUDE PELLWORM⟧, CARETAKER",
        "THE TENANT MUST KEEP CLEAR",
        "Charlotte Street, Sierra Leone, Victoria County and Grace Period",
        "Service list: ⟦OSGOOD, Eileen⟧; ⟦VAN PELL, Kurt⟧",
        "Index\n⟦Thistle, Albert⟧ ..... 3\n⟦Quill, Anna M.⟧ ..... 4\n",
        "Index of names\n⟦Quill, Mark⟧ ..... 3\nbeim Sachbearbeiter ⟦Quillner, Meinolf⟧.",
        "In Quillstadt, Mark left.",
        "However, Anna left. In London, Albert stayed.",
        "⟦K.S. Quillappa⟧ sued ⟦Thistle P. R.⟧ for partition",
        "the U.S. Treasury and the A.B. Bank",
        "⟦Mark J. Quillon⟧\tSecretary; Schedule A. Terms, Grant B. Agreement",
    ],
)
def test_a_first_name_of_a_list_shows_the_name(text: str) -> None:
    assert find_in(GivenNameRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "Lease_of_⟦Anna_Quill⟧_2019.pdf",
        "2019-05-03_⟦Quill_Anna⟧_signed.docx",
        "⟦anna_quill⟧.jpg and ⟦AnnaQuill⟧-CV.pdf",
        "⟦Anna_King⟧_CV.pdf",
        "annual_report_final.xlsx, Vertrag_Entwurf.docx",
        "C:\\Users\\⟦aquill⟧\\claim.docx and /home/⟦quill.a⟧/notes.txt but /home/public/x.txt",
        "Anna Quill signed.",
    ],
)
def test_people_in_the_names_of_files(text: str) -> None:
    assert find_in(FileNameRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "⟦Quillesh⟧ s/o Late Shri ⟦Thistlebhai Pell⟧, aged 40",
        "⟦Quilla Devi⟧ W/o ⟦Pellram⟧ R/o Rampur",
        "PW-3 ⟦Quillesh⟧ and P.W. 4 ⟦Thistlebhai⟧ said so",
        "Accused No. 2 ⟦Quillesh⟧ @ ⟦Quillu⟧ fled",
        "write to quill@pell.example, c/o the bank, 20 km/hour",
    ],
)
def test_people_as_indian_courts_introduce_them(text: str) -> None:
    assert find_in(IndianPersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "⟦A N N A   Q U I L L⟧ came. Mr ⟦Q U I L L⟧ left.",
        "⟦H A N S - P E T E R   Q U I L L⟧ kam.",
        "B E T W E E N : J U D G M E N T   R E A S O N S",
    ],
)
def test_names_in_spaced_capitals(text: str) -> None:
    assert find_in(SpacedNameRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "O autor, ⟦Luana Câmara⟧, pediu. O senhor ⟦Câmara⟧ pagou. A Câmara Municipal negou.",
        "Svědek ⟦Ferdinand Quillek⟧ mluví pravdu.",
        "Zdaniem ⟦Quillka⟧ umowa jest nieważna.",
        "Rilevato che ⟦Arnaldo Quilli⟧ ha pagato, Ritenuto che nulla è dovuto, Osserva il giudice.",
        "Considerando que no hubo dolo, Procede absolver a ⟦Andrés Quillo⟧.",
    ],
)
def test_a_role_or_a_verb_with_a_capital_is_no_name(text: str) -> None:
    assert find_in(ContinentalPersonRecognizer(), text) == normalize(text)


def test_a_german_name_goes_on_in_the_next_line() -> None:
    text = "Sie verlangt von ⟦Moritz\nQuillner⟧ Schadensersatz."
    assert find_in(GermanPersonRecognizer(), text) == normalize(text)
    assert unmark(text).count("\n") == 1
