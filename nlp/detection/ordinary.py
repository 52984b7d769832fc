# ruff: noqa: E501  -- lists of words read best in long lines
"""Drop what a learned detector takes for a name in headings, labels and capitals, where a capital proves nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from lexveil.nlp.entities.evidence import shows_type
from lexveil.nlp.entities.given_names import may_be_given_name
from lexveil.nlp.letters import LOWER, has_han, to_latin
from lexveil.nlp.ordinary_words import is_ordinary
from lexveil.nlp.recognizers.scores import LEARNED
from lexveil.nlp.text import Span, find_line
from lexveil.nlp.vocabulary import AMBIGUOUS_NAMES, FORM_LABELS

# The second takes two words with capitals for a name.
_GUESSING = frozenset({LEARNED, "ContinentalPersonRecognizer"})
# The language of the ordinary words, and of a text too short to show its own.
_ENGLISH = frozenset({"en", ""})
_TYPES = frozenset({"PERSON", "ORGANIZATION", "LOCATION", "ADDRESS", "DEMOGRAPHIC", "MISC", "CASE_NUMBER"})
# Types of names, which contain no digits: "Grounds 8" is none.
_WITHOUT_DIGITS = frozenset({"PERSON", "ORGANIZATION", "LOCATION", "DEMOGRAPHIC", "MISC"})
_ABBREVIATIONS = frozenset(
    "CCTV DNA GPS SMS PDF ATM SUV HGV DVD USB MRI CT ECG GP PTSD ADHD VAT PIN CV HR IT PC TV".split()  # noqa: SIM905
)
_WORD = re.compile(r"[^\W\d_]+")
# Words of headings, labels and columns in other languages, and some that English has only there.
_HEADINGS = frozenset(
    """
    courante salarié salariée poste ancienneté fonction montant nom prénom adresse empleado puesto antigüedad nombre apellidos fecha dipendente mansione cognome nome data
    nome função salário data werknemer functie naam datum pracownik stanowisko nazwisko kwota data ime prezime iznos datum redirect recross committal medico vat grounds matter mitigation causation counts list bill key test stage freehold leasehold stamp duty block press hearing
    aktenvermerk antrag anträge anzeige begründung bericht beschluss beweis bescheid entscheidungsgründe ergebnis feststellungen gründe klage klageerwiderung
    kostenrechnung niederschrift protokoll rechtsmittelbelehrung rubrum sachverhalt streitwert tatbestand tenor urteil vermerk vergleich vernehmung verfügung vertrag
    vollmacht widerspruch zusammenfassung im des der die das und in für zur zum name namen volkes
    arrêt attendu audience audition avis conclusions contrat décision dispositif exposé faits jugement litige montant motifs moyens ordonnance
    procédure procès rapport république française au nom du peuple français tribunal verbal le la les de des et en par
    acta antecedentes atestado comparecencia conclusión contrato decisión declaración demanda denuncia fallo fundamentos hechos importe
    informe resolución resultando considerando sentencia derecho y el los las del
    ata acórdão decisão depoimento ementa fatos fundamentação laudo relatório sentença termo voto o os as do da dos
    atto condominio creditore creditori decreto diritto elenco fatto importo italiana italiano motivi motivazione ordinanza oggetto premesso privilegio processo
    relazione ricorso repubblica popolo sentenza svolgimento verbale in nome il lo gli dei delle
    beslissing beschikking bijlage dagvaarding feiten gronden geschil overwegingen proces rechtbank uitspraak verhoor verklaring vonnis verzoek een het van koning
    imieniu oświadczenie orzeczenie postanowienie pozew protokół przesłuchania rozprawy posiedzenia oględzin rzeczypospolitej polskiej sentencja świadka uzasadnienie wniosek wyrok w z i
    presuda rješenje rešenje obrazloženje zapisnik ime republike izreka tužba
    juge affaires familiales enfants instruction libertés détention greffe cour chambre civile sociale commerciale criminelle correctionnel correctionnelle prud hommes commerce première deuxième troisième quatrième cassation
    juzgado instancia instrucción sala audiencia provincial penal civil social mercantil probados fundamentos tribunale corte sezione civile penale lavoro vara comarca câmara turma cível criminal relação
    sąd sądu rejonowy rejonowego okręgowy okręgowego apelacyjny wydział cywilny karny rechtbank gerechtshof kamer uittreksel handelsregister sud općinski osnovni viši vrhovni županijski privredni trgovački
    biegłego biegłej biegłych
    abschrift anhörung anklageschrift arbeitsvertrag aufhebungsvertrag ausfertigung bestellung dienstvertrag einspruch einstellungsverfügung erbschein erklärung
    ermittlungsbericht eidesstattliche versicherung gesellschafterversammlung gutachten haftbefehl hauptverhandlung kassenprüfung kaufvertrag kündigung ladung
    mahnbescheid mietvertrag mitteilung prüfungsbericht quittung rechnung sachverständigengutachten schlussbericht sitzungsaushang sitzungsprotokoll strafanzeige
    strafbefehl terminsliste testament urkunde verhandlung vollstreckungsbescheid vorladung zeugenvernehmung zeugnis zustellungsurkunde öffentliche sitzung
    acte arrêté assemblée assignation attestation bail bordereau bulletin certificat citation compte rendu constat convocation copie cse dépôt donation enquête expertise
    facture fiche générale huissier inventaire lettre licenciement main mémoire mise en demeure note notification notoriété offre ordinaire extraordinaire
    pièces plainte police pouvoir procuration promesse protocole quittance réquisitoire réunion requête signification soit transmis succession synthèse témoin témoignage
    testament transaction vente victime d l à aux
    acuerdo alegaciones apud arrendamiento asamblea auto burofax carta causa cédula certificación citación compraventa conciliación contestación convenio copia diligencia
    edicto emplazamiento escrito escritura expediente factura finiquito general hipoteca inspección juicio junta letrada liquidación mandamiento minuta nota notificación
    número oficio ordinaria extraordinaria otorgamiento pericial poder providencia querella recibo recurso requerimiento reunión simple solicitud sumario testimonio trabajo
    vista una de en al a con
    abertura alegações alvará arrendamento assembleia assentada auto autos boletim carta certidão citação compra comunicado contestação denúncia despacho diligência doação
    edital escritura extraordinária geral inquérito instrumento intimação inventário locação mandado nota notificação ocorrência ofício ordinária parecer particular petição
    pública queixa procuração reclamação recibo requerimento reunião substabelecimento termos testamento trabalho venda inquirição testemunha interrogatório a e em com um uma
    accordo affidamento appello assemblea avviso bilancio cartella citazione comparizione comparsa compravendita comunicazione conclusionale condominiale conferma consulenza
    contratto costituzione delibera denuncia deposizione diffida domanda esame fattura fissazione ingiunzione ingiuntivo integrativa interrogatorio istanza lettera locazione
    mandato memoria ordinaria straordinaria nota notifica notorietà perizia precetto procura protocollo querela reclamo ricevuta richiesta riunione risposta ritardata risoluzione
    scrittura privata seduta sommarie informazioni speciale generale tecnica ufficio testimoniale testamento transazione udienza vendita di del della da a al alla per con
    aangifte aanmaning aanvullend aanvullende akte arbeidsovereenkomst bericht besluit bezwaarschrift brief conclusie deskundigenrapport eis factuur getuige getuigenverhoor hypotheek
    huurovereenkomst ingebrekestelling inleidend inventaris koopovereenkomst last levering machtiging mededeling nota notariële notulen offerte oproeping ontslag onderhandse
    overeenkomst pleitnota proces-verbaal rapport rekest repliek dupliek schenking schikking testament vaststellingsovereenkomst vergadering verstek verzetschrift verzoekschrift
    volmacht aangever van de den der het een tot en in op te
    akt apelacja darowizny decyzja doręczenia dowodów dyscyplinarnego dzieło działu gminy informacja kosztorys księgi najmu dzierżawy notarialny notatka odpis odpowiedź odwołanie
    ogłoszenie opinia oskarżenia pełnomocnictwo pismo podejrzanego podwykonawstwo pokwitowanie pouczenie powołanie potwierdzenie pozwu pożyczki pracę protokołu raport rozwiązanie
    skarga służbowa sprawozdanie sprzedaży spadku świadectwo testament ugoda umowa urzędowa wezwanie wierzycieli wniosku wstępna wypowiedzenie wypis zaliczka zamówienie zapłatę zapłaty
    zarządzenie zaświadczenie zastępstwa zaskarżenia zawiadomienie zażalenie zebrania zeznania zlecenia zobowiązanie na do o od za ze dla
    beleška belešku bilješka darovanju delu djelu dokaza dopis glavni glavna izjava izvadak izvještaj izveštaj izvod javna krivična kaznena kupoprodaji kupoprodajni ispit ispitivanju
    mišljenje najmu nalaz nalog naknadu nagodba nasljeđivanju naređenje obaveštenje obavijest obrasca odgovor odluka optužni optužnica osporavanju ostavinsko ovjerena ovlašćenje ovlaštenje
    poklonu popis posudbi poravnanje potvrda poziv prigovor prijava prijedlog predlog privremena punomoć punomoćje račun rasprava ročištu ročišta saslušanju saslušanje saglasnost
    sednice sjednice službena sporazum suglasnost svjedoka svedoka štete testament tužbu ugovor ugovora uverenje uvjerenje veštaka vještaka zahtev zahtjev zajmu zakupu zaključak zaostavština
    zapisnika žalba o u na za sa s od do
    """.split()  # noqa: SIM905
)
# What German writes with a capital and is no part of a name: "Ihre Dateien", "Solange Sie".
_GERMAN_PRONOUN = re.compile(
    r"(?:Sie|Ihnen|Ihr(?:e[nmrs]?)?|Wir|Uns(?:er(?:e[nmrs]?)?)?|Mein(?:e[nmrs]?)?|Dein(?:e[nmrs]?)?|Diese[nmrs]?|Jede[nmrs]?|Solche[nmrs]?|Welche[nmrs]?)"
)
# "I" and "A" before a word in lower case; but "Mr A denied it", "child A lives".
_SINGLE = re.compile(rf"(?<![\w.])(?:I(?=,? [{LOWER}]|['’][{LOWER}])|A(?= [{LOWER}]))(?!\w)")
_BEFORE_LETTER = re.compile(r"(?:[^\W\d_]|(?:\A|[\W_])[^\W\d_]\.|\b(?:Mr|Ms|Mrs|Dr)\.) \Z")
# Where a capital is due in any case: at the beginning of the text, a line, a sentence or a quotation.
_SENTENCE_START = re.compile(r"(?:\A|[\n\t|]|  |[.!?:;]\"? |[\"'(])[ \t>*•-]*\Z")
_LABEL = re.compile(r"[ \t]*:(?=\s|\Z)")
# A title has no column, label or second sentence.
_EDGE = re.compile(r"[:\t|\d,;/&]| {2}|\. ")
# Between two cells.
_GAP = re.compile(r"[\t|]| {2,}")
_CLAUSE_END = re.compile(r"[\n.;:()\"]")
_REACH = 200
_HEADING_WORDS = 9
_CAPITALS = 3
_FEWEST_IN_SENTENCE = 4
_CAPTION = re.compile(
    r"(?i)\s*(?:\(?(?:first |second )?(?:plaintiff|defendant|claimant|applicant|appellant|respondent|petitioner)s?\b|-?\s*(?:v|and|versus)\.?\s*-?\s*$)",
    re.MULTILINE,
)


def drop_ordinary(text: str, spans: Iterable[Span], language: str) -> list[Span]:
    """Return the spans without learned names that consist of ordinary words, where capitals prove nothing.

    Args:
        text: normalized text.
        spans: findings in any order.
        language: ISO 639-1 code of the text, or "". Of other languages, only words of headings are known.
    """
    is_common = _is_common if language in _ENGLISH else _is_heading
    return [
        span
        for span in spans
        if not (_is_ordinary_text(text, span, is_common) or (language == "de" and _has_pronoun(text, span)))
    ]


def _has_pronoun(text: str, span: Span) -> bool:
    if span.recognizer not in (LEARNED, "GivenNameRecognizer") or span.type not in _WITHOUT_DIGITS:
        return False
    return any(map(_GERMAN_PRONOUN.fullmatch, _WORD.findall(text, span.start, span.end)))


def drop_lower_case(text: str, spans: Iterable[Span]) -> list[Span]:
    """Return the spans without those of a learned detector, most words of which have no capital.

    They are for texts in a language that the detector does not know: of "wartość emitowana przez GPL po
    otrzymaniu środków" it makes a company. The types are those of names, which have capitals everywhere.

    Args:
        text: normalized text, with capitals where a passage has none.
        spans: findings in any order.
    """
    return [span for span in spans if not _is_mostly_lower(text, span)]


def _is_mostly_lower(text: str, span: Span) -> bool:
    if span.recognizer != LEARNED or span.type not in _TYPES - {"CASE_NUMBER"}:
        return False
    words = [word for word in _WORD.findall(text, span.start, span.end) if len(word) > 1]
    capitals = sum(word[0].isupper() for word in words)
    return not has_han(text[span.start : span.end]) and 2 * capitals < max(len(words), 1)


def _is_ordinary_text(text: str, span: Span, is_common: Callable[[str], bool]) -> bool:
    # Chinese has no capitals, and its names have two characters.
    if span.recognizer not in _GUESSING or has_han(text[span.start : span.end]):
        return False
    if span.type not in _TYPES and (span.type != "DATE" or shows_type(text, span)):
        return False
    words = [m.group() for m in _WORD.finditer(text, span.start, span.end)]
    if len(words) == 1 and words[0] in _ABBREVIATIONS:
        return True
    if len(words) == 1 and len(words[0]) == 1:
        return is_common is _is_common and _is_pronoun(text, span)
    if is_common is _is_heading and _is_in_title(text, span, words):
        return True
    if (
        not words
        or not (all(map(is_common, words)) or _is_sentence_in_capitals(text, span, words))
        or (span.type not in _WITHOUT_DIGITS and any(c.isdigit() for c in text[span.start : span.end]))
    ):
        return False
    if len(words) < _CAPITALS and any(map(_may_name, words)) and not _is_in_row(text, span, is_common):
        return False
    return _has_due_capital(text, span, words, is_common) and not (
        span.type == "ORGANIZATION" and shows_type(text, span)
    )


def _is_sentence_in_capitals(text: str, span: Span, words: Sequence[str]) -> bool:
    """Return True for most of a sentence in capitals, three quarters of whose words are ordinary."""
    if len(words) < _FEWEST_IN_SENTENCE or not text[span.start : span.end].isupper():
        return False
    return 4 * sum(map(_is_common, words)) >= 3 * len(words)


def _is_common(word: str) -> bool:
    return len(word) < 3 or word.casefold() in _HEADINGS or is_ordinary(word.casefold())


def _may_name(word: str) -> bool:
    return word.casefold() in AMBIGUOUS_NAMES or may_be_given_name(word.casefold())


def _is_heading(word: str) -> bool:
    folded = to_latin(word.casefold())
    return len(word) < 3 or folded in _HEADINGS or folded in FORM_LABELS


def _is_pronoun(text: str, span: Span) -> bool:
    before = text[max(0, span.start - 6) : span.start]
    single = _SINGLE.match(text, span.start)
    return single is not None and (single.group() == "I" or not _BEFORE_LETTER.search(before))


def _has_due_capital(text: str, span: Span, words: Sequence[str], is_common: Callable[[str], bool]) -> bool:
    """Return True for a label, the first word of a sentence, a heading, or words in a line of capitals."""
    before = text[max(0, span.start - 16) : span.start]
    starts = _SENTENCE_START.search(before) is not None
    if starts and (len(words) == 1 or _LABEL.match(text, span.end)):
        return True
    if len(words) == 2 and len(words[1]) == 1:  # "Bundle C"
        return True
    # Title of a document, before its first sentence: "UMOWA NAJMU zawarta w ..."
    if is_common is _is_heading and all(map(str.isupper, words)) and _begins_line(text, span):
        return True
    if _is_in_cell(text, span, is_common):
        return True
    line = find_line(text, span.start, span.end)
    on_line = _WORD.findall(line)
    around = _find_clause(text, span)
    if around.isupper():
        return len(_WORD.findall(around)) >= _CAPITALS or not _is_in_caption(text, span)
    heading = len(on_line) <= _HEADING_WORDS and all(map(is_common, on_line))
    return heading and not _is_in_caption(text, span) and all(w[0].isupper() for w in on_line if len(w) > 3)


def _is_in_title(text: str, span: Span, words: Sequence[str]) -> bool:
    """Return True for a line in capitals that begins with the kind of a document and has no first name."""
    line = find_line(text, span.start, span.end)
    on_line = _WORD.findall(line)
    if not words or not line.isupper() or len(on_line) > _HEADING_WORDS or any(map(_may_name, on_line)):
        return False
    return len(on_line[0]) > _CAPITALS and _is_heading(on_line[0]) and not _EDGE.search(line)


def _is_in_row(text: str, span: Span, is_common: Callable[[str], bool]) -> bool:
    """Return True for a cell in a row of ordinary words: "Direct   Cross   Redirect"."""
    on_line = _WORD.findall(find_line(text, span.start, span.end))
    sure = [word for word in on_line if not _may_name(word)]
    return len(sure) >= _CAPITALS and all(map(is_common, on_line)) and _is_in_cell(text, span, is_common)


def _begins_line(text: str, span: Span) -> bool:
    """Return True if only words of headings in capitals stand before a span on its line."""
    before = text[max(0, span.start - _REACH) : span.start]
    words = _WORD.findall(before[before.rfind("\n") + 1 :])
    return all(word.isupper() and _is_heading(word) for word in words)


def _is_in_cell(text: str, span: Span, is_common: Callable[[str], bool]) -> bool:
    """Return True in a cell of a table, or between gaps of several spaces, all of whose words are ordinary."""
    line_start = text.rfind("\n", 0, span.start) + 1
    before = _GAP.split(text[line_start : span.start])
    after = _GAP.split(text[span.end : text.find("\n", span.end) % (len(text) + 1)])
    cell = before[-1] + text[span.start : span.end] + after[0]
    return len(before) + len(after) > 2 and all(map(is_common, _WORD.findall(cell)))


def _find_clause(text: str, span: Span) -> str:
    """Return the text around a span to the next line end, period or bracket on either side."""
    before, after = text[max(0, span.start - _REACH) : span.start], text[span.end : span.end + _REACH]
    return _CLAUSE_END.split(before)[-1] + text[span.start : span.end] + _CLAUSE_END.split(after, 1)[0]


def _is_in_caption(text: str, span: Span) -> bool:
    """Return True if the next line that is not blank is a role or a "v.": the line names a party."""
    end = text.find("\n", span.end)
    return end >= 0 and _CAPTION.match(text, end) is not None
