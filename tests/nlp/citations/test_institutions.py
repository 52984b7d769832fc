"""Courts, state bodies and codes by their names stay readable: what must stay is marked with ⟦ ⟧."""

from __future__ import annotations

import pytest

from lexveil.nlp.citations import citations
from lexveil.nlp.detection.detector import Detector
from tests.nlp.recognizers.marked import mark, normalize, unmark


@pytest.mark.parametrize(
    "text",
    [
        "La ⟦cour d'appel de Rouen⟧ et le ⟦tribunal judiciaire d'Évreux⟧ ont statué.",
        "Le ⟦Conseil d'État⟧ et la ⟦Cour européenne des droits de l'homme⟧ le disent.",
        "LE ⟦CONSEIL D'ÉTAT⟧ STATUANT AU CONTENTIEUX",
        "El ⟦Juzgado de Primera Instancia nº 6 de Gijón⟧ y la ⟦Audiencia Provincial de Cádiz⟧ lo ven.",
        "El ⟦Tribunal Superior de Justicia de Galicia⟧ y el ⟦Ministerio Fiscal⟧ informaron según consta.",
        "La ⟦Corte d'appello di Trento⟧ e il ⟦Tribunale di Rovigo⟧ hanno deciso.",
        "Le ⟦Sezioni Unite⟧ e il ⟦Pubblico Ministero⟧ concordano nella causa.",
        "O ⟦Superior Tribunal de Justiça⟧ e o ⟦Tribunal de Justiça do Estado do Paraná⟧ negam em parte.",
        "O ⟦Ministério Público Federal⟧ e o ⟦Instituto Nacional do Seguro Social⟧ recorrem em um prazo.",
        "De ⟦rechtbank Overijssel⟧ en het ⟦gerechtshof Amsterdam⟧ zijn van oordeel.",
        "Het ⟦Hof van Justitie van de Europese Unie⟧ en de ⟦Centrale Raad van Beroep⟧ menen dat.",
        "⟦Sąd Rejonowy w Koninie⟧ i ⟦Zakład Ubezpieczeń Społecznych⟧ nie wypowiedziały się.",
        "⟦Osnovni sud u Kragujevcu⟧ i ⟦Apelacioni sud u Nišu⟧ su odlučili.",
        "⟦Основни суд у Нишу⟧ је одлучио.",
        "el ⟦Código de Comercio⟧ y la ⟦Ley de Enjuiciamiento Criminal⟧ por su parte",
        "o ⟦Código de Processo Penal Militar⟧ e a ⟦Lei Orgânica do Distrito Federal⟧ em um prazo",
    ],
)
def test_institutions(text: str) -> None:
    plain = unmark(text)
    assert mark(plain, citations(plain)) == normalize(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Le tribunal a entendu Corentin Maillard, puis le Conseil d'État a statué.", "Corentin Maillard"),
        (
            "Vu le mémoire de la Cour de cassation, Solène Guivarch conteste la loi.",
            "Solène Guivarch",
        ),
        ("El Ministerio Fiscal acusa a Leocadio Barrenechea de un delito de estafa.", "Leocadio Barrenechea"),
        ("O Ministério Público Federal denunciou Deodato Sampaio em todos os fatos.", "Deodato Sampaio"),
        ("Sąd Rejonowy w Koninie przesłuchał Zdzisława Wrzoska i nie dał mu wiary.", "Zdzisława Wrzoska"),
        ("De rechtbank Overijssel heeft Wubbo Hoekstra gehoord in de zaak van het kind.", "Wubbo Hoekstra"),
        ("Osnovni sud u Kragujevcu je saslušao Radojka Stamenkovića u ovoj stvari.", "Radojka Stamenkovića"),
    ],
)
def test_people_beside_institutions_are_found(text: str, name: str) -> None:
    start = text.index(name)
    found = Detector.load("rules").detect(text)
    assert any(span.start <= start and span.end >= start + len(name) for span in found)
    assert not any(span.start < end and first < span.end for span in found for first, end in citations(text))


def test_letters_without_a_vowel_name_nobody() -> None:
    text = "O TST e o STF julgaram o recurso, em que Deodato Sampaio foi parte, e o CPPM não se aplica."
    found = Detector.load("rules").detect(text)
    assert [text[span.start : span.end] for span in found] == ["Deodato Sampaio"]
