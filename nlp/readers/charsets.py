"""The charset of 8-bit text, by the letters that its languages have.

A wrong charset puts symbols into words ("Wi¶niewska") or letters of different languages side by side
("Gyõzõ Szûcs"). So each charset is judged by how many of the letters beyond ASCII belong to one language, and
in equal cases by the language's most frequent words.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache

# In the order of preference among equally plausible ones.
CHARSETS = (
    "cp1252", "cp1250", "cp1254", "cp1251", "cp1253", "cp1255", "cp1256", "cp1257", "iso8859_2", "cp850",
    "mac_roman", "cp852", "koi8_r", "cp866", "iso8859_5", "mac_latin2", "cp857", "mac_cyrillic", "iso8859_6",
    "iso8859_7", "iso8859_8", "iso8859_13", "cp437", "cp862", "cp737", "koi8_u", "mac_turkish", "mac_greek",
    "cp860", "cp861", "cp865", "cp863", "cp720", "mac_croatian", "mac_romanian", "mac_iceland",
)  # fmt: skip
_LANGUAGES = {
    "English": ("éèêëçñöüïâàáó", "the of and to in that for on with as was by"),
    "French": ("àâæçéèêëîïôœùûüÿ", "de la le les des et du en que dans est par pour un une"),
    "German": ("äöüß", "der die das und den von zu des mit ist im dem nicht ein eine für"),
    "Spanish": ("áéíñóúü", "de la que el en los se del las por un para con una"),
    "Portuguese": ("áâãàçéêíóôõúü", "de que do da em um para não uma os no na por"),
    "Italian": ("àèéìíîòóù", "di che la il un per del della non è in le si"),
    "Catalan": ("àçèéíïòóúü", "de la el que les els del en per una"),
    "Dutch": ("áéëïóöüèĳ", "de het een van en in is dat op te met voor"),
    "Swedish": ("åäöé", "och i att det som en på är av för till med"),
    "Danish": ("æøåé", "og i at det er til af en på for med den"),
    "Norwegian": ("æøåéòô", "og i det er til av en på for med som ikke"),
    "Finnish": ("äöåšž", "ja on ei se että oli kun hän joka sekä"),
    "Icelandic": ("áðéíóúýþæö", "og að í er á sem til það við um"),
    "Polish": ("ąćęłńóśźż", "w i na z do się nie że jest o przez od po za"),
    "Czech": ("áčďéěíňóřšťúůýž", "a v se na je že s z o do k ve byl podle"),
    "Slovak": ("áäčďéíĺľňóôŕšťúýž", "a v sa na je že s z o do k vo podľa"),
    "Hungarian": ("áéíóöőúüű", "a az és hogy nem egy is meg ha volt"),
    "Romanian": ("ăâîşţșț", "de și în a la cu din pe care nu că"),
    "Croatian": ("čćđšž", "i u je na se da su za od ne"),
    "Slovenian": ("čšž", "in je na v se da za ki ne po"),
    "Turkish": ("çğıöşüâîûİ", "ve bir bu ile için olarak de da olan tarafından"),
    "Estonian": ("äöõüšž", "ja on ei et see oli kui ta mis"),
    "Latvian": ("āčēģīķļņšūž", "un ir ka no par ar uz tika pie"),
    "Lithuanian": ("ąčęėįšųūž", "ir kad yra su į iš dėl bei buvo"),
    "Greek": ("αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋ", "και του της το η την ο να σε για"),
    "Russian": ("абвгдеёжзийклмнопрстуфхцчшщъыьэюя", "и в не на что с по от к о а"),
    "Ukrainian": ("абвгґдеєжзиіїйклмнопрстуфхцчшщьюя", "і в на не що з до та у за"),
    "Bulgarian": ("абвгдежзийклмнопрстуфхцчшщъьюя", "и на да за от се по в с не"),
    "Serbian": ("абвгдђежзијклљмнњопрстћуфхцчџш", "и у је да на се за од не"),
    "Hebrew": ("אבגדהוזחטיךכלםמןנסעףפץצקרשת", "של את על לא כי הוא זה עם בית"),
    "Arabic": ("ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىيًٌٍَُِّْ", "في من على إلى أن عن التي هذا"),
}  # fmt: skip
# Characters next to words in any language; only some of them occur between two letters.
_PUNCTUATION = frozenset("€‚„…†‡‰‹‘’“”•–—™›\xa0§©«\xad°±²³µ¶·¹»¼½¾£¡¿®º\u200e\u200f№،؛؟ـ")
_WITHIN_WORDS = frozenset("’–—\xa0\xad·\u200e\u200fـ")
_NEVER_FIRST = frozenset("ъыьЪЫЬ")  # in a word
_AFTER_NUMBERS = frozenset("‰°")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
_WORD = re.compile(r"[^\W\d_]+")
_GREEK = "\u0370"  # the first of the alphabets that stand by themselves
_PUNCTUATION_BLOCK = "\u2000"
_SURE = 0.9  # share of the characters beyond ASCII that one language explains
_CLEAR = 0.01  # the least difference of shares that counts
_FEW_WORDS = 2
_MOST = 0.9  # of the frequent words


@dataclass(frozen=True, slots=True)
class _Score:
    explained: float
    frequent: float


def guess_charset(sample: bytes) -> str | None:
    """Return the Python codec of 8-bit text, or None if no language explains it in any charset.

    Args:
        sample: Bytes of the text, some of them beyond ASCII.
    """
    scores = {charset: score for charset in CHARSETS if (score := _rate(sample, charset)) is not None}
    best = max((score.explained for score in scores.values()), default=0.0)
    if best < _SURE:
        return None
    close = {charset: score for charset, score in scores.items() if score.explained >= best - _CLEAR}
    frequent = max(score.frequent for score in close.values())
    usual = scores.get(CHARSETS[0], _Score(0.0, 0.0))
    if usual.explained >= _SURE and usual.frequent >= frequent / 2 > 0:
        return CHARSETS[0]  # a stray symbol in an English text does not justify another charset
    # In the order of preference: one word more or less does not justify a rarer charset.
    return next(charset for charset, score in close.items() if score.frequent >= _MOST * frequent)


def _rate(sample: bytes, charset: str) -> _Score | None:
    """Rate a charset by the language that explains it best; None if the bytes are not valid in it."""
    try:
        text = sample.decode(charset)
    except UnicodeDecodeError:
        return None
    letters: Counter[str] = Counter()
    wrong = 0
    for found in _BEYOND_ASCII.finditer(text):
        if _is_impossible(text, found.start()):
            wrong += 1
        elif found.group() not in _PUNCTUATION:
            letters[found.group()] += 1
    # Counted once: there are thirty languages, and as many charsets.
    words = Counter(word.lower() for word in _WORD.findall(text))
    n_marks, n_words = letters.total() + wrong, words.total()
    scores: list[_Score] = []
    for known, frequent in _list_languages():
        hits = sum(words[word] for word in words.keys() & frequent)
        explained = sum(letters[letter] for letter in letters.keys() & known)
        scores.append(
            _Score(explained / n_marks if n_marks else 1.0, hits / n_words if hits >= _FEW_WORDS else 0.0)
        )
    best = max(score.explained for score in scores)
    close = (score for score in scores if score.explained >= best - _CLEAR)
    return max(close, key=lambda score: score.frequent)


def _is_impossible(text: str, place: int) -> bool:
    """Return True for what occurs in no language: a symbol or another alphabet in a word, a late capital."""
    mark = text[place]
    before = text[place - 1] if place else " "
    after = text[place + 1] if place + 1 < len(text) else " "
    if (mark in _NEVER_FIRST and not before.isalpha()) or (mark in _AFTER_NUMBERS and before.isalpha()):
        return True
    if _GREEK <= mark < _PUNCTUATION_BLOCK and (_is_latin(before) or _is_latin(after)):
        return True
    if mark in _PUNCTUATION:
        return before.isalpha() and after.isalpha() and mark not in _WITHIN_WORDS
    if not mark.isalpha():
        return mark < "\xa0" or (before.isalpha() and after.isalpha() and not _is_accent(mark))
    return mark.isupper() and before.islower()


def _is_latin(character: str) -> bool:
    return character.isascii() and character.isalpha()


def _is_accent(mark: str) -> bool:
    return "\u064b" <= mark <= "\u0652" or mark == "\u0307"


@cache
def list_frequent_words() -> tuple[frozenset[str], ...]:
    """Return the most frequent words of each language."""
    return tuple(frequent for _, frequent in _list_languages())


@cache
def _list_languages() -> tuple[tuple[frozenset[str], frozenset[str]], ...]:
    """Return the letters beyond ASCII, small and capital, and the most frequent words of each language."""
    return tuple(
        (frozenset(letters + letters.upper()), frozenset(words.split()))
        for letters, words in _LANGUAGES.values()
    )
