# ruff: noqa: E501  -- patterns read best on one line
"""What French, Spanish, Italian, Portuguese, Dutch and Polish courts say of people, around a surname alone.

A learned detector finds a surname by the sentence around it, and misses some at the end of one: "negou provimento
ao recurso de Roe". Names take no article in these languages, so a capitalized word right after "the appeal of",
"against", or "condemns", or right before "argues that", is a party. Names of companies stand there too.
"""

from __future__ import annotations

import re

# What somebody has, says and does, each before "of": the appeal, the testimony, the home.
_OF = {
    r"d[e']": (
        # French
        r"demandes?|recours|appel|pourvoi|requête|conclusions|déclarations?|témoignage|attestation|audition|domicile|responsabilité|préjudice|avocate?|conseil|compte|nom|décès|"
        r"enfants?|épouse|licenciement|garde|créance|dette|état de santé|profit|égard|encontre|lieu et place|"
        # Spanish
        r"recurso|demanda|declaraci[óo]n(?:es)?|testimonio|representación|nombre|hij[oa]s?|casa|cuenta|muerte|despido|custodia|patrimonio|responsabilidad|datos|contra|favor|defensa|parte|herederos|salud|"
        # Portuguese
        r"recursos?|apelo|pedido|depoimento|defesa|benefício|filh[oa]s?|residência|conta|morte|prisão|condenação|face|desfavor|nome|herdeiros|dano"
    ),
    r"d[i']": (
        r"confronti|carico|favore|conto|interesse|danni|ricorso|appello|domanda|dichiarazioni|difesa|residenza|casa|figli[oa]|eredi|nome|danno|testimonianza|responsabilità|posizione"
    ),
    r"van(?: de[nr]?)?": (
        r"laste|behoeve|aanzien|beroep|verweer|vordering(?:en)?|verklaring(?:en)?|verzoek|stelling|woning|rekening|kind(?:eren)?|zoon|dochter|bezwaar|naam|dood|erfgenamen|schade|advocaat|standpunt|getuigenis"
    ),
}
# Words right before whom they are about: against, for, on behalf of, condemns, hears.
_RIGHT_BEFORE = (
    # French
    r"contre|envers|condamn(?:e|er|é|ait|ant)|débout(?:e|er|é|ait|ant)|entend(?:u|re)|assign(?:e|er|é)|interrog(?:e|er|é)|relax(?:e|er|é)|acquitt(?:e|er|é)|licenci(?:e|er|é)|déclar(?:e|é|ait)|indemnis(?:e|er|é)|"
    r"protèg(?:e|ent)|représent(?:e|er|é|ait)|"
    # Spanish
    r"contra|conden(?:ar|o|ó|amos) a|absolv(?:er|ió|emos) a|absuelvo a|demand(?:ar|ó|aba) a|detuv(?:o|ieron) a|denunci(?:ar|ó) a|notific(?:ar|ó|ado) a|reclam(?:ar|ó) a|protegen? a|frente a|"
    # Italian
    r"contro|condann(?:a|are|ato)|assolv(?:e|ere)|assolto|da parte di|tutelano?|"
    # Portuguese
    r"conden(?:o|ou|ar)|absolv(?:o|eu|er)|intim(?:ou|ar)|citou|denunciou|interrogou|ouviu|amparam?|protegem?|favorece|"
    # Dutch
    r"tegen|jegens|namens|beschermt|beschermde|dagvaardde|dagvaardt|verhoorde|hoorde|veroordeelt|veroordeelde|ontsloeg|machtigt|benoemt|vertegenwoordigt|volgens|"
    # Polish
    r"zdaniem|zeznania(?:mi)?|zeznań|skazał[ao]?|uniewinnił[ao]?|oskarżył[ao]?|przesłuchał[ao]?|wobec"
)
# By whom something is done.
_DONE_BY = (
    r"\w{3,}(?:é|i|it|u)e?s? par|\w{2,}[aio]d[oa]s? por|(?:ge|ver|be|ont|her)\w{3,}(?:d|t|en) door|"
    r"(?:richiamat|propost|promoss|presentat|impugnat|depositat|sottoscritt|firmat|dedott|eccepit|avanzat|formulat|sostenut|patit|subit|commess|rappresentat|redatt|versat|pagat|acquistat|lamentat|contestat|invocat)[oaie] da"
)
_LONGEST_BEFORE = 48
_BEFORE = re.compile(
    rf"(?<![\w'’-])(?:{'|'.join(rf'(?:{nouns}) {of} ?' for of, nouns in _OF.items())}|(?:{_RIGHT_BEFORE}|{_DONE_BY}) )"
    r"(?:(?:van(?: de[nr]?| 't)?|d[ao]s?|ter|ten) )?\Z",
    re.IGNORECASE,
)
# What parties and witnesses do.
_AFTER = re.compile(
    r" (?:"
    # French
    r"est (?:bien |mal )?fondée? à|n?[e'’ ]{0,2}(?:conteste|soutient|soutenait|sollicite|prétend|fait valoir|interjette|reproche|affirme)|demande (?:à|que|la|le|l[ae]?')|a (?:interjeté|déclaré|soutenu|été condamnée?|comparu|demandé)|"
    # Spanish
    r"recurr(?:ió|e)|responde|aleg[aó]|sost(?:iene|uvo)|niega|negó|solicit[aó]|interpuso|declaró|manifestó|afirm[aó]|reconoció|apeló|"
    # Italian
    r"(?:ha|aveva) (?:chiesto|proposto|riferito|dichiarato|impugnato|eccepito|dedotto|negato|ammesso)|sostiene|eccepisce|lamenta|chiede|impugna|si (?:è )?costitui(?:va|ta|to)|"
    # Portuguese
    r"aleg(?:a|ou)|sustent(?:a|ou)|requer(?:eu)?|recorreu|afirm(?:a|ou)|declarou|interpôs|apelou|"
    # Dutch
    r"voer(?:t|de) (?:\w+ )?aan|stelt (?:dat|zich)|betwist|betoogt|ontken(?:t|de)|erken(?:t|de)|(?:heeft|had) (?:\w+ )?(?:aangevoerd|verklaard|gesteld|betwist|beroep|hoger)|verklaar(?:t|de) dat|verzoekt|vordert|"
    # Polish
    r"zeznała?|wni(?:ósł|osła)|twierdzi|mówi|zaprzeczyła?|oświadczyła?|podniósł|podniosła"
    r")(?!\w)",
)
# Names take none.
_ARTICLE = re.compile(
    r"\b(?:a|le|la|les|un|une|du|des|au|aux|el|los|las|una|del|al|il|lo|gli|i|un|uno|dello?|della|dei|degli|delle|nel|nella|o|os|as|um|uma|do|dos|ao|aos|à|às|no|na|nos|nas|pelo|pela|de|het|een|deze|die|dit|dat) \Z|[ldnLDN]['’]\Z",
    re.IGNORECASE,
)
# Roles and bodies that these languages name without an article.
_NOBODY = frozenset(
    """
    partijen gedaagde gedaagden belanghebbende verzoeker verzoekster verweerster appellant appellante geïntimeerde werkgever
    werknemer werkneemster huurder verhuurder curator bank gemeente college staat minister staatssecretaris inspecteur moeder vader man vrouw
    aangever aangeefster aanklager verdediging raadsman raadsvrouw politie partij
    bank spółka organ skarżący skarżąca kredytobiorca sąd strona prokurator obrona
    conforme segundo hacienda fazenda união município autarquia impetrante agravante agravado embargante embargado reclamada reclamado apelado
    apelada recorrida recorrido requerente requerido ministro ministra
    """.split()  # noqa: SIM905
)
_ELIDED = re.compile(r"[ln]['’]", re.IGNORECASE)
_SINGLE = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def is_about_person(text: str, start: int, end: int) -> bool:
    """Return True if the words right before or after a capitalized word are about people.

    Args:
        text: normalized text.
        start: start of the word.
        end: its end.
    """
    word = text[start:end]
    if (
        len(word) < 2
        or word.isupper()
        or _ELIDED.match(word)
        or word.casefold() in _NOBODY
        or not _SINGLE.fullmatch(word)
    ):
        return False
    before = text[max(0, start - _LONGEST_BEFORE) : start]
    if _BEFORE.search(before):
        return True
    return _AFTER.match(text, end) is not None and not _ARTICLE.search(before)
