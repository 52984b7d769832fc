# ruff: noqa: E501, SIM905  -- lists of words read best on one line
"""First names from public lists: Faker's for the languages that are written with Latin letters, and a census's.

`first_names_us.txt` holds what Faker lacks of the first names in the census of the United States of 1990 (public
domain), without those that are words or surnames in contracts.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path

_COUNTRIES = (
    "cs_CZ da_DK de_AT de_CH de_DE en_GB en_IE en_IN en_KE en_NG en_PK en_US es_CO es_ES es_MX et_EE fi_FI fr_DZ fr_FR ga_IE "
    "ha_NG hr_HR hu_HU ig_NG it_IT lt_LT lv_LV nl_BE nl_NL no_NO pl_PL pt_BR pt_PT ro_RO sk_SK sl_SI sv_SE tr_TR tw_GH yo_NG zu_ZA"
).split()
# First names that are ordinary words of English or German even with a capital.
_WORDS = frozenset(
    """
    adel allen april art august beauty bill blessing bund chance chase charity christian comfort confidence constant dean destiny earl ehre ernst ever faith falk fares
    forest france frieden gene gift glory gott grace grant guy harmony helm hope innocent jewel joy justice king lage lance
    lauf liberty linde long major mark max may melody mercy merle norm ocean patience peace pearl penny power precious price
    prince prudence purity rast recht reich rich rico rim
    rosa rose ruby rusty sage scout star sterling summer sunny tage tag trinity true van victory viola violet virtue von
    wahl war will wille willow wolf
    ants beat beaten beater bitten canal cord dries edit else floor forum greet grit gun gust harm harsh job kick lean lies loot lot made mere nail owe per
    pier raid sad said sang server toy
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
    aileen ailsa alasdair catriona eilidh euan ewan fergus fiona fionn hamish iain isla kenna lachlan lorna mairi morag mhairi rory
    seonaid struan aoife caoimhe cathal conall cormac darragh declan diarmuid eimear eoghan fiachra fintan grainne gráinne
    niamh oisin oisín orla padraig pádraig proinsias roisin róisín ruairi seamus séamus sinead sinéad sorcha tadhg treasa
    amarjit amrit balbir baldev baljit balraj daljit gurdeep gurdev gurmeet gurnam gurpreet harbhajan hardeep harinder harjeet
    harjit harpreet jagdish jagjit jasbir jasleen jaspreet jaswant jaswinder kulwant kulwinder lakhbir lakhwinder mandeep
    manjit maninder narinder navdeep navjot paramjit parminder pritam rajinder ranjit rupinder satnam satwant simranjit
    sukhdev sukhpreet sukhwinder surinder surjit tejinder
    andres bayani benigno corazon crisanto danilo dante divina dolores efren ernesto imelda jomar jovelyn jovito lourdes
    luzviminda marites marivic nestor nilo reynaldo rodel rodelio rogelio romeo rosalinda teodoro virgilio
    bongani kagiso lerato lindiwe mandla mpho nomsa nomvula nosipho palesa sibusiso sipho siyabonga tebogo thabo thandi
    themba thulani vusi zanele zodwa
    aroha hemi hinemoa hone mere ngaire pania rangi tama tamati tane tipene whetu wiremu
    bex daz deano debs gav jez kaye kaz kev mikey nige robbo shazza steph trev
    """.split()
)


@cache
def _load() -> frozenset[str]:
    names: set[str] = set()
    for country in _COUNTRIES:
        provider = import_module(f"faker.providers.person.{country}").Provider
        for attribute in ("first_names", "first_names_male", "first_names_female"):
            names.update(str(name).casefold() for name in getattr(provider, attribute, ()))
    census = (Path(__file__).parent / "first_names_us.txt").read_text(encoding="utf-8").split()
    return (frozenset(name for name in names if len(name) > 2) | _MORE).union(census) - _WORDS


def is_given_name(word: str) -> bool:
    """Return True if a folded word is a first name in one of the lists."""
    return word in _load()


def may_be_given_name(word: str) -> bool:
    """Return True if a folded word is a first name in one of the lists, or a word that is one as well."""
    return word in _load() or word in _WORDS
