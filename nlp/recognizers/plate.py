# ruff: noqa: E501  -- patterns read best on one line
"""License plates of vehicles: forms that nothing else has, and others after a word about a vehicle."""

from __future__ import annotations

from collections.abc import Iterator

from lexveil.nlp.recognizers.base import LABELED, SHAPED, SHARED, Finding, RuleRecognizer, find_matches

_LABELED = SHARED.compile(
    r"(?i:\b(?:licen[cs]e|number|registration|vehicle|index)[ -](?:plates?|marks?|registration)|\bplates?|\bregistration|\bregistered (?:as|under)|\bKennzeichen|\bamtlichen? Kennzeichen|\bimmatricul\w+|\bplaque|\btarga(?:t[ao])?|\bmatr[íi]cula(?:d[oa])?|\bplaca|\bkenteken|\b(?:nr|numer\w{0,3}) rej(?:\.|estracyjn\w{1,3})|\btablic\w{0,3}|\bSPZ|\bregistrační značk\w{1,2}|\bVRM|\bregistarsk\w{1,3} (?:oznak|tablic)\w{0,3})"
    r"(?i: ?\(?(?:nos?\b\.?|numbers?|mark|index|was|is|of|:|#)\)?){0,3}[ \"'(]{1,3}(?=[A-ZÄÖÜ0-9 ·.-]{0,10}\d)((?:[A-ZÄÖÜ]{1,3}|\d{1,4})(?:[ ·.-]?(?:[A-ZÄÖÜ]{1,3}|\d{1,4})){1,4})(?![\w/])"
)
_VEHICLE = SHARED.compile(
    r"(?i:\b(?:car|vehicle|van|truck|lorry|motorcycle|motorbike|moped|scooter|taxi|cab|bus|sedan|saloon|hatchback|pickup|trailer|SUV|Fahrzeug|Wagen|Auto|Pkw|PKW|Lkw|LKW|Motorrad|Roller|Transporter|Anhänger|véhicule|voiture|camion|moto|scooter|coche|vehículo|auto|autovettura|motociclo|veículo|carro|samochód|pojazd|bestelbus|automobil|vozilo|BMW|Golf|Passat|Corsa|Astra|Seat|Volvo|Mazda|Hyundai|Kia|Citroën|Dacia|Tesla|Vauxhall|Audi|Mercedes|Toyota|Ford|Volkswagen|VW|Opel|Renault|Peugeot|Honda|Nissan|Fiat|Škoda|Lada)\b)[^.;\n\d]{0,40}[ (]"
    r"(?=[A-ZÄÖÜ0-9 -]{0,9}\d)([A-ZÄÖÜ]{1,3}[ -]?[A-Z]{1,2}[ -]?\d{1,4}|[A-Z]{2}\d{2} ?[A-Z]{3}|\d{1,4}[ -]?[A-Z]{2,3}[ -]?\d{1,4}|\d{2} [A-Z]{1,3} \d{2,4}|[A-Z]{3}[ -]?\d{3,4})(?![\w/-])"
)
_SHAPED = SHARED.compile(
    r"(?<![\w-])(?:(?:[A-HJ-NP-TV-Z]{2}-\d{3}-[A-HJ-NP-TV-Z]{2}|[A-Y]{2}(?:0[2-9]|[1-7]\d) ?[A-Z]{3}|[A-Z]{2} ?\d{1,2} ?[A-Z]{1,2} ?\d{4})(?![\w-])"
    r"|[A-ZÄÖÜ]{1,3}-[A-Z]{1,2} \d{2,4}(?![\w/-]))"
)
_CHINESE = SHARED.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-Z][·.]?(?=[A-Z\d*×]*[\d*×])[A-Z\d*×]{5,6}(?![A-Z\d])"
)


class LexveilPlateRecognizer(RuleRecognizer):
    """License plates of all countries, by a label or a vehicle before them, or by their form."""

    NAME = "PlateRecognizer"
    TYPES = ("PLATE",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the license plates in `text`."""
        for pattern in (_LABELED, _VEHICLE):
            for match in pattern.finditer(text):
                if 4 <= sum(map(str.isalnum, match.group(1))) <= 10:
                    yield Finding(match.start(1), match.end(1), "PLATE", LABELED)
        yield from find_matches(text, "PLATE", SHAPED, _SHAPED, _CHINESE)
