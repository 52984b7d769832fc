# ruff: noqa: E501  -- tables of endings read best on one line
"""Names in the cases of a language: "Kowalskiego" names Kowalski, "Novákovi" Novák, "Koskivirran" Koskivirta.

There is no list of names here. The endings of a language lead from a word back to what its nominative may be;
two words of one document with a common nominative are one name. That is far too generous for a dictionary,
and right for the few names of a document.

In German only the genitive changes a name: see `lexveil.nlp.entities.identity`.
"""

from __future__ import annotations

import re
from functools import lru_cache

# "ending:ending of the nominative"; what precedes it has at least three letters.
_POLISH = """
    iego:i iemu:i im:i iego:y ego:y emu:y ym:y iej:a ej:a ą:a ę:a y:a i:a e:a ie:a o:a ii:ia ji:ja
    a: owi: em: iem: ie: u: e: owie: ów: om: ami: ach: a:o owi:o em:o iem:o ie:o y:e
    ka:ek kowi:ek kiem:ek ku:ek ca:ec cowi:ec cem:ec ca:iec cowi:iec cem:iec ła:eł łowi:eł łem:eł la:el lowi:el lem:el
    cie:ta dzie:da rze:ra le:ła ce:ka dze:ga sze:cha ście:sta cie:t dzie:d rze:r le:ł
    scy:ski ccy:cki dzcy:dzki skich:ski ckich:cki skimi:ski ckimi:cki scy:ska ccy:cka skich:ska ckich:cka
    nia:ń niowi:ń niem:ń sia:ś siowi:ś siem:ś cia:ć ciowi:ć ciem:ć
"""
_CZECH = """
    ého:ý ému:ý ém:ý ým:ý ího:í ímu:í ím:í é:á ou:á ou:a u:a y:a ě:a e:a ovi:a ou:a
    a: ovi: u: em: e: i: ové: ů: ům: ech: ova: ovo: ovy: ův: a:o ovi:o em:o ii:ie ií:ie i:e í:e
    ka:ek kovi:ek kem:ek ku:ek ce:ec ci:ec cem:ec covi:ec la:el lovi:el lem:el ce:ka ze:ha ze:ga ře:ra še:cha
    ňa:eň ňovi:eň
"""
_CROATIAN = """
    a: u: om: em: e: i: ev: eva: evo: evu: evog: evom: ov: ova: ovo: ovu: ovog: ovom: ima:
    e:a i:a u:a o:a om:a in:a ina:a ino:a inu:a ine:a a:o u:o om:o ov:o ova:o a:e u:e em:e
    og:i om:i oga:i omu:i oj:a ra:ar ru:ar rom:ar ca:ac cu:ac cem:ac ca:ec cu:ec cem:ec la:al lu:al lom:al
    ka:ak ku:ak kom:ak ka:ek ku:ek kom:ek
"""
_RUSSIAN = """
    а: у: ом: ым: е: ем: ой:а ою:а у:а ы:а е:а и:а ей:а и:я ю:я е:я ей:я ии:ия ию:ия ией:ия
    ого:ий ому:ий им:ий ом:ий ого:ый ому:ый ым:ый ом:ый его:ий ему:ий ой:ая ую:ая я:ь ю:ь ем:ь е:ь я:й ю:й ем:й е:й ия:ий ию:ий ием:ий ии:ий
    ка:ок ку:ок ком:ок ке:ок ка:ек ку:ек ком:ек ца:ец цу:ец цом:ец цем:ец ла:ел лу:ел лом:ел
    ові: еві: ові:о ка:ко ку:ко ком:ко ем:о і:а ою:а ого:ий ія:ій ію:ій
"""
_FINNISH = """
    n: a: ä: ta: tä: ssa: ssä: sta: stä: lla: llä: lta: ltä: lle: na: nä: ksi: an:a än:ä en:e in:i on:o un:u yn:y ön:ö
    in: ia: iä: ille: issa: issä: ista: istä: illa: illä: ilta: iltä:
    sen:nen sella:nen sta:nen stä:nen selle:nen selta:nen selta:nen seltä:nen sella:nen sellä:nen sessa:nen sessä:nen sesta:nen sestä:nen seen:nen seksi:nen sena:nen
    en:i ea:i eä:i elle:i elta:i eltä:i ella:i ellä:i essa:i essä:i esta:i estä:i een:i ena:i eksi:i
    ksen:s kselle:s ksella:s kselta:s ksessa:s ksesta:s kseen:s aan:as aalle:as aalla:as aalta:as aassa:as aasta:as
"""


def _read(table: str, write: dict[int, str] | None = None) -> tuple[tuple[str, str], ...]:
    pairs = (pair.partition(":")[::2] for pair in table.split())
    rules = {(ending.translate(write or {}), own.translate(write or {})) for ending, own in pairs}
    return tuple(sorted(rules, key=lambda rule: (-len(rule[0]), rule)))


_CYRILLIC = dict(zip(map(ord, "abcdeghijklmnoprstuvz"), "абцдегхијклмнопрстувз", strict=True))
_RULES = {
    "pl": _read(_POLISH),
    "cs": _read(_CZECH),
    "sk": _read(_CZECH),
    "hr": _read(_CROATIAN),
    "sl": _read(_CROATIAN),
    "ru": _read(_RUSSIAN),
    "uk": _read(_RUSSIAN),
    "fi": _read(_FINNISH),
    "sr": (*_read(_CROATIAN), *_read(_CROATIAN, _CYRILLIC)),
}
INFLECTED: frozenset[str] = frozenset(_RULES)
"""ISO 639-1 codes of the languages whose names have cases here."""

_SHORTEST_STEM, _SHORTEST_NAME = 2, 3
# Adjectives that are a man's surname in the nominative: Kowalski is no form of Kowalska.
_NOMINATIVE = re.compile(r"(?:[sc]k|dzk)[iý]\Z|ск(?:ий|и)\Z")
_VOWEL = re.compile(r"[aeiouyąęóáéíúůýěäöаеёиоуыэюяіїє]\Z")
# A closed syllable of a Finnish word has the weak form of what an open one begins with.
_STRONG = tuple(
    (re.compile(rf"(?<=[aeiouyäölrnmh]){weak}(?=[aeiouyäö]{{1,2}}\Z)"), strong)
    for weak, strong in (
        ("rr", "rt"), ("ll", "lt"), ("nn", "nt"), ("mm", "mp"), ("ng", "nk"), ("d", "t"), ("v", "p"),
        ("k", "kk"), ("p", "pp"), ("t", "tt"),
    )
)  # fmt: skip
_LOST_K = re.compile(r"(?<=[aeiouyäölr])(?=[aeiouyäö]\Z)")


@lru_cache(maxsize=1 << 14)
def list_nominatives(word: str, language: str) -> frozenset[str]:
    """Return what a folded word may be in the nominative: itself, and what the endings lead to."""
    found = {word}
    if _NOMINATIVE.search(word):
        return frozenset(found)
    for ending, own in _RULES.get(language, ()):
        stem = word.removesuffix(ending)
        if stem == word or len(stem) < _SHORTEST_STEM or len(stem + own) < _SHORTEST_NAME:
            continue
        # Without an ending, the nominative of a Slavic name ends in a consonant.
        if not own and language != "fi" and _VOWEL.search(stem):
            continue
        found.add(stem + own)
        if language == "fi":
            found.update(_strengthen(stem + own))
    return frozenset(found)


def share_nominative(first: str, second: str, language: str) -> bool:
    """Return True if two folded words may be one name in two cases."""
    return not list_nominatives(first, language).isdisjoint(list_nominatives(second, language))


def _strengthen(word: str) -> set[str]:
    """Return the forms of a Finnish word with the strong grade."""
    found = {weak.sub(strong, word) for weak, strong in _STRONG}
    found.add(_LOST_K.sub("k", word))
    return found
