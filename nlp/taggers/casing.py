# ruff: noqa: E501  -- patterns and lists of words read best on one line
"""Capitalize words where a text is written entirely in lower case, as in chats, mails and transcripts.

Learned detectors recognize names by their capitals. In "i told ann roe that the money is gone" no name has
one, so there every word gets one before it is read: what a detector then still considers a name, it knows by
the context.
"""

from __future__ import annotations

import re

from lexveil.nlp.ordinary_words import is_ordinary

_LETTERS = re.compile(r"[^\W\d_]+")
# The first letter of each word that may have a capital.
_CASED = re.compile(r"(?<![^\W\d_])[A-Za-z\u00c0-\u024f\u0400-\u052f]")
_CAPITAL = re.compile(r"(?<![^\W\d_])[A-Z]")
_SAMPLE = 1 << 14
_FEWEST_WORDS = 4
_LETTERS_A_WORD = 5
_LONGEST_WORD = 15  # on average; text with fewer words is in a script without capitals
_MOST_CAPITALS = 0.02
# "i" for "I", not the first item of a list: whoever writes like this capitalizes no names.
_PRONOUN = re.compile(
    r"(?<![\w(.'&-])i(?:'(?:m|ve|ll|d))?(?= (?!(?:of|in|to|and|or|is|on|at|for|the|above|below)\b)[a-z])"
)
# Words that stay in lower case in titles; a greeting is not part of the name after it.
_SMALL_WORDS = frozenset(
    """
    a about after all also am an and any are as asked at be because been before but by called can come could dear did do
    does for from get go goes gone got had has have he hello her here hers hey hi him his how i if in into is it its
    just knows like made me met mine must my need needs never no not now of off on only or our ours out over please
    really said saw says see sent shall she should so some still take tell than thank thanks that the their them then
    there these they think this those thought to told too under until up us very wants was we went were what when where
    which who why will with without would yes yet you your yours
    """.split()  # noqa: SIM905
)
# The same in other languages, without what is a name somewhere.
_SMALL_WORDS_BY_LANGUAGE = {
    language: frozenset(words.split())
    for language, words in {
        "de": """
        ab aber alle allem allen aller alles als also am an angezeigt auch auf aus bei beim bereits bin bis bist bitte bloß da dabei dafür damit dann
        daran das dass dein deine deinem deinen dem den denn der des deshalb dich die dies diese dieser dieses dir doch dort du durch echt ein eine einem
        einen einer eines einfach er erst es etwas euch euer eure für ganz gar gegen gehabt geht gemacht gemeldet genau gesagt gestern gewesen gibt ging gleich
        gut hab habe haben hallo halt hast hat hatte hatten heute hier hin ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im immer in ins irgendwie ist ja jetzt
        kann kannst kein keine keinen kommt konnte kriegt lass lieber mach machen macht mal man mehr mein meine meinem meinen mich mir mit morgen muss müssen na
        nach ne nein nicht nichts nie nix noch nochmal nun nur ob oder ohne sag sagt sagte schon sehr sein seine seinem seinen seit sich sie sind so sogar soll
        sonst steht typisch über um und uns unser unsere vom von vor war waren warum was weg weil weiß wenn wer werden wie wieder will wir wird wo wohl wollte
        wurde zahlt zahlen zu zum zur zwei
        """,
        "es": """
        a ahora al algo aquí así aún ayer bien casi como con contra cosa cuando cuándo da dar de debe deben decir del desde después dice dicen dicho dijo donde
        dos el ella ellos en entonces entre era eres es esa ese eso esta está están este esto fue ha había hablado habla hablar hace han has hasta hay he hecho
        hoy ir jaja la las le les lo los luego mañana más me mi mis mucho muy nada nadie ni no nos nuestra nuestro nunca o para pero poco por porque pues puede
        puedo q que qué quien quién quiere quiero sabe sabes se sea ser si sí sido sin sobre solo son su sus también tan te tengo ti tiene tienen todo todos tu
        tú tus un una uno unos va vale van vas ver vez vi vio voy y ya yo pague pagar paga firmar firme dinero
        """,
        "fr": """
        a ai aller alors après as au aussi autre aux avait avant avec avez avoir bien bon c ça car ce cela ces cet cette chez comme contre d dans de des dire dis
        dit dois doit donc du elle elles en encore es est et étais était été être eu fait faire faut hier hui ici il ils j je jamais jour jusque l la là le les
        leur lui ma mais me même mes moi moins mon n ne ni non nos notre nous on ont ou où oui par parce parle parlé pas peu peut plus pour pourquoi pris qu quand
        que quel quelle qui quoi rien s sa sans se sera ses si son sont sous sur t ta te tes toi ton tous tout toute très tu un une va vais veut vient voir vos
        votre vous vu y payer paie signer signe argent
        """,
        "it": """
        a ad ai al alla allora anche ancora avere aveva bene c che chi ci ciao come con contro cosa così d da dal dalla dei del della deve di dice dico dire disse
        dopo dove due e è era essere fa fare fatto già gli ha hai hanno ho i ieri il in io l la le lei li lo loro lui ma mai mamma me mi mia mio molto nei nel
        nella niente no noi non nostro nulla o oggi ogni ok per perché però più poi puoi qua quando quanto quella quello questa questo qui se sei sempre senti
        sentito si sì solo sono sopra sta stato su sua subito sul suo te ti tu tua tuo tutti tutto un una uno va vedi vi voi vuole pagare paga firmare firma soldi
        """,
        "pt": """
        a agora ainda ao aos aqui as até bem boa c com como contra da das de dela dele deles depois deve disse diz do dois dos e ela ele eles em então era essa
        esse está estão eu falar falou fala faz fazer foi for gente hoje há isso isto já lá lhe mais mas me mesmo meu minha muito na nada não nas nem no nos nós
        nunca o onde ontem os ou para pela pelo pode por porque pq pra q quando que quem quer se sem ser seu só sua também te tem tenho tinha tô tu tudo um uma vai
        vc vem você vou pagar paga assinar assina dinheiro
        """,
        "nl": """
        aan al als altijd ben bij bent dan dat de deze die dit doe doen door een en er even geen gaat ga gezegd gisteren goed haar had heb hebben hebt heeft hem het
        hij hoe hun ik in is ja jou jouw jij je kan kom komt kun maar maak me meer met mij mijn moet na naar nee niet niets niks nog nu of om omdat ons ook op over
        te tegen toch toen tot u uit van veel voor waar waarom was wat we wel werd wie wij wil wist zag zeg zegt zei zich zij zijn zo zou betaald betaalt betalen
        tekenen geld
        """,
        "pl": """
        a ale albo ani bez bo był była było być bym chce chcę ci cię co czy dla do dobra dziś gdy gdzie go i ich ile im ja jak jaki jego jej jest jestem jeszcze
        już każdy kiedy kto która który mam mi mnie moja może mój mu my na nad nam nas nic nie nim niż no o od on ona one oni ono po pod powiedział powiedziała
        przed przez przy są się sobie swoje ta tak tam te tego też tej ten to tu tylko ty tym u w we wczoraj wie wiem więc wszystko z za ze że żeby zapłacić pieniądze
        """,
    }.items()
}
# What ends a passage in lower case: a capital, a line, the end of a quotation. It begins with a line or a
# quotation, or else, in a long line, after a word with a capital.
_END = re.compile(r"[\n\"]|(?=[A-Z])")
_START = re.compile(r".*[A-Z]\S*")
_LONGEST = 2000
# German, with its capital for every noun, has no quotation without one unless its writer uses none.
_LOWER_QUOTE = re.compile(r"\"([a-zäöüß][^\"A-ZÄÖÜ]{40,2000})\"")
# A line that begins a sentence without a capital and has none.
_LINE = re.compile(r"(?:\A|(?<=[.?!\"\n]\n))[a-zà-ÿ][^\nA-Z]*(?=\n|\Z)")

# A message of a chat that has none: "[03/05/22, 18:41:10] Ada: did bo sign it".
_MESSAGE = re.compile(
    r"(?m)^\[?\d[\d/.:, -]{4,24}(?: ?[AaPp][Mm])?\]?(?: -)? ?[^:\n]{1,30}: ([a-zà-ÿ][^\nA-Z]*)$"
)
# Digits that a scanner reads for letters: "G0rdon", "M1RIAM", "0sgathorpe". A pattern that begins with its digit,
# and looks back over it, is tried at digits only.
_SCANNED = re.compile(
    r"[01](?:(?<=[A-Za-z]{2}.)(?=[A-Za-z])|(?<=\b[A-Z].)(?=[a-z]{2}|[A-Z]{3})|(?<!\w0)(?<=0)(?=[A-Za-z]{3}))"
)


def read_scanned_letters(text: str) -> str:
    """Return `text` with letters for the digits that a scanner has put into words. Its length stays."""
    return _SCANNED.sub(_read_letter, text) if _SCANNED.search(text) else text


def _read_letter(digit: re.Match[str]) -> str:
    text, start = digit.string, digit.start()
    upper = text[digit.end()].isupper() or (start == 0 or not text[start - 1].isalpha())
    return ("O" if upper else "o") if digit.group() == "0" else ("I" if upper else "l")


def capitalize_lower_passages(text: str, language: str = "") -> str:
    """Return `text` with a capital for every word of the passages that have none. Its length stays.

    Args:
        text: normalized text.
        language: its ISO 639-1 code, or "".
    """
    passages = find_lower_passages(text, language)
    if passages != [(0, len(text))]:
        # A single line may continue the one before it, so it does not show how a text is written.
        passages += [m.span() for m in _LINE.finditer(text) if _count_words(m.group()) >= _FEWEST_WORDS]
        passages += [m.span(1) for m in _MESSAGE.finditer(text) if _count_words(m.group(1)) >= _FEWEST_WORDS]
    small = _SMALL_WORDS | _SMALL_WORDS_BY_LANGUAGE.get(language, frozenset())

    def capitalize(word: re.Match[str]) -> str:
        folded = word.group().lower()
        stays = folded in small or (language == "en" and is_ordinary(folded))
        return word.group() if stays else _capitalize(word.group())

    pieces: list[str] = []
    done = 0
    for start, end in sorted(passages):
        if end > done:
            first = max(start, done)
            pieces += (text[done:first], _LETTERS.sub(capitalize, text[first:end]))
            done = end
    return "".join((*pieces, text[done:]))


def find_lower_passages(text: str, language: str = "") -> list[tuple[int, int]]:
    """Return the passages whose writer uses no capitals, sorted and without overlaps.

    Such a passage is the whole text, in English what stands around an "i" for "I", in German a quotation.

    Args:
        text: normalized text.
        language: its ISO 639-1 code, or "".
    """
    words = _CASED.findall(text, 0, _SAMPLE)
    capitals = sum(map(str.isupper, words))
    latin = len(words) >= max(_FEWEST_WORDS, len(text[:_SAMPLE]) / _LONGEST_WORD)
    lower = latin and capitals <= _MOST_CAPITALS * len(words)
    # The sample may be short of a long text.
    if lower and len(_CAPITAL.findall(text)) <= _MOST_CAPITALS * len(text) / _LETTERS_A_WORD:
        return [(0, len(text))]
    if language == "de":
        return [quoted.span(1) for quoted in _LOWER_QUOTE.finditer(text)]
    return _find_passages(text) if language == "en" else []


def _find_passages(text: str) -> list[tuple[int, int]]:
    passages: list[tuple[int, int]] = []
    for match in _PRONOUN.finditer(text):
        done = passages[-1][1] if passages else 0
        start, end = _find_passage(text, match.start(), done)
        if passages and start <= done:
            start, _ = passages.pop()
        passages.append((start, end))
    return passages


def _find_passage(text: str, position: int, done: int) -> tuple[int, int]:
    """Return the passage in lower case around a position.

    No pattern reads a character twice, so that a long line with many an "i" takes no longer than another.

    Args:
        text: the text.
        position: a position in the passage.
        done: end of the passage before. If nothing between it and the position begins a passage, the two are
            one, and the rest of it is returned.
    """
    first, last = max(0, position - _LONGEST), min(len(text), position + _LONGEST)
    line = max(text.rfind("\n", first, position), text.rfind('"', first, position))
    end = _END.search(text, max(done, position), last)
    return (
        line + 1 if line >= 0 else _find_start(text, max(first, min(done, position)), position),
        end.start() if end else last,
    )


def _find_start(text: str, first: int, position: int) -> int:
    before = _START.match(text, first, position)
    return before.end() if before else first


def _count_words(text: str) -> int:
    return sum(1 for _ in _LETTERS.finditer(text))


def _capitalize(word: str) -> str:
    first = word[0].upper()
    # The capital form of some letters has two characters.
    return first + word[1:] if len(first) == 1 else word
