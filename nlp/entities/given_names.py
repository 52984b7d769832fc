# ruff: noqa: E501, SIM905  -- lists of words read best on one line
"""First names from public lists: Faker's for the languages that are written with Latin letters."""

from __future__ import annotations

from functools import cache
from importlib import import_module

_COUNTRIES = (
    "cs_CZ da_DK de_AT de_CH de_DE en_GB en_IE en_IN en_NG en_PK en_US es_ES es_MX et_EE fi_FI fr_FR hr_HR hu_HU "
    "it_IT lt_LT lv_LV nl_BE nl_NL no_NO pl_PL pt_BR pt_PT ro_RO sk_SK sl_SI sv_SE tr_TR"
).split()
# First names that are ordinary words of English or German even with a capital.
_WORDS = frozenset(
    """
    adel allen april art august bill bund chance chase charity christian constant dean destiny earl ehre ernst faith falk
    forest france frieden gene glory gott grace grant guy harmony helm hope jewel joy justice king lage lance lauf liberty
    linde long major mark max may melody mercy merle norm ocean pearl penny power precious price prince rast recht reich rich rico
    rosa rose ruby rusty sage scout star sterling summer sunny tage tag trinity true van victory viola violet virtue von
    wahl war will wille willow wolf
    """.split()
)

# Short forms, and names that the lists lack. Only such that are no words.
_MORE = frozenset(
    """
    alfie archie bertie bex clement daz dotty gaz ginny gus honoria jago jem liv nobby ros rosalind shay shaz trish tunde folasade
    shaniqua ansel algernon barnaby crispin cosmo ezekiel fitzroy imogen ottoline perpetua rufus saoirse siobhan tamsin
    andi atze basti bastl berti bernie charly chrissi ede fiete flori franzi fritzi gabi günni hansi heini jupp kalli kuddel lissy manni matze
    moni nici olli ossi resi rudi schorsch sebi sepp steffi susi tommi uschi vroni wasti wolle burkhard ruprecht wendelgard
    dédé jojo kéké loulou lulu nono zaza titi beppe ciccio gigi lele mimmo nando peppe pino totò chema charo chelo kiko lola maite
    manolo nacho paco pepe pili quique txaro beto chico duda nandinho tonho zeca kasia basia gosia zosia jaś staś wojtek tomek bartek kuba
    krzysiek oliwka sanja goran zoran dragan jovanka stojanka miki mića žika
    chunnu munnu pinky pappu guddu raju babloo
    """.split()
)


@cache
def _load() -> frozenset[str]:
    names: set[str] = set()
    for country in _COUNTRIES:
        provider = import_module(f"faker.providers.person.{country}").Provider
        for attribute in ("first_names", "first_names_male", "first_names_female"):
            names.update(str(name).casefold() for name in getattr(provider, attribute, ()))
    return (frozenset(name for name in names if len(name) > 2) | _MORE) - _WORDS


def is_given_name(word: str) -> bool:
    """Return True if a folded word is a first name in one of the lists."""
    return word in _load()


def may_be_given_name(word: str) -> bool:
    """Return True if a folded word is a first name in one of the lists, or a word that is one as well."""
    return word in _load() or word in _WORDS
