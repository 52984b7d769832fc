# ruff: noqa: E501  -- texts read best on one line
"""Languages in which names have capitals: invented people and companies; what must be found is marked with ⟦ ⟧."""

from __future__ import annotations

import pytest

from lexveil.nlp.detection.detector import Detector
from lexveil.nlp.recognizers.address_continental import ContinentalAddressRecognizer
from lexveil.nlp.recognizers.organization_continental import ContinentalOrganizationRecognizer
from lexveil.nlp.recognizers.person_continental import ContinentalPersonRecognizer, CuedPersonRecognizer
from tests.nlp.recognizers.marked import find_in, normalize


@pytest.mark.parametrize(
    "text",
    [
        "La cour a entendu ⟦Solange Trévidic⟧ et Me ⟦Aurèle Cazeneuve-Pons⟧.",
        "⟦Trévidic⟧ conteste les faits.",
        "Monsieur ⟦Yann LE GUERNEVEL⟧ habite ici.",
        "Attendu que ⟦Trévidic⟧ soutient que le contrat est nul,",
        "Le code civil et le Code de commerce s'appliquent devant la Cour de cassation.",
        "Le tribunal judiciaire de Quimperlé est compétent.",
        "El imputado ⟦Ramiro Zubillaga Etxarri⟧ negó los hechos en Madrid.",
        "Rige el Código Penal y lo dice el Tribunal Supremo; doña ⟦Maite Urquizo⟧ recurrió.",
        "Il teste ⟦Ettore Malaspina⟧ ha parlato; la Corte di Cassazione ha deciso.",
        "Świadek ⟦Bogumił Kowalczuk⟧ zeznał, że ⟦Wierzbowska⟧ wyszła. Sąd Najwyższy orzekł.",
        "De heer ⟦Joris van der Wielen⟧ en mevrouw ⟦Post⟧ zijn gehuwd.",
        "A testemunha ⟦Iracema do Amparo Teles⟧ não compareceu.",
        "Истец ⟦Синичкина Тамара Аркадьевна⟧ обратилась в суд.",
        "Svjedok ⟦Krešimir Vukoja⟧ je rekao da ⟦Ljubica Đurđević⟧ nije došla.",
        "LE PRÉSIDENT DE LA CHAMBRE SOCIALE",
        "Dostawca świadczy Usługi na rzecz Użytkownika według Regulaminu i Umowy, chyba że ⟦Wierzbowska⟧ odmówi.",
        "Wobec Użytkownika ⟦Kowalczuk⟧ stosuje się Warunki Korzystania, a Konto usuwa się na wniosek.",
        "Akceptując Warunki, oświadcza, że UŻYTKOWNIK NIE PONOSI ODPOWIEDZIALNOŚCI ZA STRATY LUB SZKODY, jak ⟦Wierzbowska⟧.",
        "Il Fornitore presta il Servizio secondo il Contratto; l'Utente ⟦Malaspina⟧ accetta le Condizioni.",
        "Le présent Contrat lie le Fournisseur et l'Utilisateur, et ⟦Solange Trévidic⟧ du Client.",
        "El Usuario acepta las Condiciones del Servicio; doña ⟦Maite Urquizo⟧ no.",
        "Umowa podlega prawu Stanów Zjednoczonych lub Irlandii, w Kalifornii i Szwajcarii; tak ⟦Wierzbowska⟧ i Pani ⟦Szwajcar⟧.",
        "Le Contrat est régi par le droit de la Suisse et du Luxembourg, selon ⟦Solange Trévidic⟧.",
        "Rige el derecho de España, y lo niega ⟦Ramiro España⟧.",
        "Według Umowy ⟦Jan Portalski⟧ i ⟦Ewa Internetowicz⟧ oraz ⟦Angliczyk⟧ płacą.",
        "Tak mówi Pan ⟦Zasada⟧ i Pani ⟦Umowska⟧.",
        "Eiseres ⟦Terwogt⟧ en getuige ⟦Ketelbuyt⟧ zijn gehoord.",
        "La Corte pone l'onere a carico di ⟦Malaspina⟧. ⟦Brunelleri⟧ ha chiesto il rinvio.",
        "Aux termes de la loi, ⟦Trévidic⟧ est fondé à agir.",
        "O juiz absolveu ⟦Lindoso⟧ e o recurso de ⟦Valverde⟧.",
        "Ont signé ⟦TRÉVIDIC YANN⟧, ⟦CAZENEUVE AURÈLE⟧, ⟦GUERNEVEL SOLANGE⟧, ⟦PONS LUC⟧, selon eux.",
    ],
)
def test_people(text: str) -> None:
    assert find_in(ContinentalPersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "demeurant ⟦14 bis rue des Tilleuls Argentés⟧, soutient",
        "domiciliado en ⟦calle Los Ceibos 1450, piso 3⟧, negó",
        "residente in ⟦Via dei Cordai 24, 20121 Milano⟧ (MI)",
        "zamieszkały przy ⟦ul. Długiej 12/4, 80-831 Gdańsk⟧ jako",
        "woont aan de ⟦Lindestraat 14, 3511 AB Utrecht⟧ en",
        "Le 14 mars 2019, la rue était vide.",
    ],
)
def test_addresses(text: str) -> None:
    assert find_in(ContinentalAddressRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "La ⟦SAS NORDELIA DISTRIBUTION⟧ a interjeté appel",
        "contra ⟦Transportes Urquizo, S.L.⟧ en reclamación",
        "la ⟦Officine Malaspina S.r.l.⟧ ha chiesto",
        "powód ⟦Stolarnia Kowalczuk sp. z o.o.⟧ wniósł",
        "la ⟦Lanzetti & C. Sas⟧ contro Eiseres Sas en Noor Sas",
    ],
)
def test_companies(text: str) -> None:
    assert find_in(ContinentalOrganizationRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("recurso de Valverde. Fim", ["Valverde"]),
        ("Verordening (EU) 2016/679 beschermt Ketelbuyt.", ["Ketelbuyt"]),
        ("Con arreglo al Código, Mondéjar responde.", ["Mondéjar"]),
        ("vergoed door de Staat", []),
        ("em 2017, o Suboficial requereu baixa", []),
        ("forniti da terzi contro l'Autorità", []),
        ("recurso de ANATEL e contra FUNCEF", []),
    ],
)
def test_beside_a_detector_context_shows_people(text: str, found: list[str]) -> None:
    assert [text[f.start : f.end] for f in CuedPersonRecognizer().find(text)] == found


def test_a_document_is_read_by_these_rules_and_still_needs_review() -> None:
    text = (
        "Le tribunal a entendu Solange Trévidic, demeurant 3 rue des Lavandières, 29300 Quimperlé. Trévidic a déclaré "
        "que la société lui devait trois mois de salaire, ce que l'employeur conteste devant la cour d'appel de Rennes."
    )
    (detection,) = Detector.load("rules").detect_many([text])
    found = [text[span.start : span.end] for span in detection.spans]
    assert found == ["Solange Trévidic", "3 rue des Lavandières, 29300 Quimperlé", "Trévidic"]
    assert (detection.language, detection.served) == ("fr", False)
