"""Types of entities, their properties, and the types of other corpora and tools that correspond to them."""

from __future__ import annotations

# Of the Text Anonymization Benchmark.
TAB_TYPES: dict[str, str] = {
    "PERSON": "PERSON",
    "CODE": "CASE_NUMBER",
    "LOC": "LOCATION",
    "ORG": "ORGANIZATION",
    "DEM": "DEMOGRAPHIC",
    "DATETIME": "DATE",
    "QUANTITY": "QUANTITY",
    "MISC": "MISC",
}

# In place of a type, for what other corpora mark and nobody can be identified by.
NOT_PERSONAL = ""

FOREIGN_TYPES: dict[str, str] = {
    **TAB_TYPES,
    # CoNLL and similar corpora
    "PER": "PERSON",
    "GPE": "LOCATION",
    "NORP": "DEMOGRAPHIC",
    "NRP": "DEMOGRAPHIC",
    # Presidio
    "DATE_TIME": "DATE",
    "PHONE_NUMBER": "PHONE",
    "EMAIL_ADDRESS": "EMAIL",
    "STREET_ADDRESS": "ADDRESS",
    "ZIP_CODE": "ADDRESS",
    "DOMAIN_NAME": "URL",
    "CREDIT_CARD": "ACCOUNT_NUMBER",
    "IBAN_CODE": "ACCOUNT_NUMBER",
    "US_BANK_NUMBER": "ACCOUNT_NUMBER",
    "US_SSN": "ID_NUMBER",
    "US_DRIVER_LICENSE": "ID_NUMBER",
    "US_PASSPORT": "ID_NUMBER",
    "US_ITIN": "ID_NUMBER",
    "TITLE": NOT_PERSONAL,
    "PREFIX": NOT_PERSONAL,
    # Legal-Entity-Recognition (German); its case law, norms and literature are not personal
    "RR": "PERSON",  # judge
    "AN": "PERSON",  # counsel
    "LD": "LOCATION",  # country
    "ST": "LOCATION",  # city
    "STR": "ADDRESS",  # street
    "LDS": "LOCATION",  # landscape
    "UN": "ORGANIZATION",  # company
    "MRK": "ORGANIZATION",  # brand
    "INN": NOT_PERSONAL,  # public institution
    "GRT": NOT_PERSONAL,  # court
    **dict.fromkeys(("GS", "VO", "EUN", "VS", "VT", "RS", "LIT"), NOT_PERSONAL),
    # LeNER-Br (Portuguese)
    "PESSOA": "PERSON",
    "LOCAL": "LOCATION",
    "TEMPO": "DATE",
    "ORGANIZACAO": "ORGANIZATION",
    "LEGISLACAO": NOT_PERSONAL,
    "JURISPRUDENCIA": NOT_PERSONAL,
}


ENTITY_TYPES: tuple[str, ...] = (
    "PERSON",
    "AGE",
    "BIRTH_DATE",
    "FAMILY_MEMBER",
    "ADDRESS",  # a postal address
    "LOCATION",  # any other place
    "PHONE",
    "EMAIL",
    "URL",
    "IP_ADDRESS",
    "ID_NUMBER",  # of a person: passport, tax, social security, license
    "ACCOUNT_NUMBER",  # of a bank account or a payment card
    "PLATE",
    "CASE_NUMBER",
    "ORGANIZATION",
    "DATE",
    "DEMOGRAPHIC",  # nationality, ethnicity, religion, profession, health
    "QUANTITY",  # amounts, counts and percentages
    "MISC",  # anything else that may identify a person
)


# Types that identify a person by themselves. All others do so only in combination with other knowledge.
DIRECT_TYPES: frozenset[str] = frozenset(
    {
        "PERSON",
        "ADDRESS",
        "PHONE",
        "EMAIL",
        "URL",
        "IP_ADDRESS",
        "ID_NUMBER",
        "ACCOUNT_NUMBER",
        "PLATE",
        "CASE_NUMBER",
    }
)

# Types that are personal because of the context, not the words: elsewhere, the same words describe nobody.
CONTEXTUAL_TYPES: frozenset[str] = frozenset(
    {"AGE", "BIRTH_DATE", "FAMILY_MEMBER", "DATE", "DEMOGRAPHIC", "QUANTITY", "MISC"}
)

# Types for which realistic substitutes can be generated.
SURROGATE_TYPES: frozenset[str] = frozenset(
    {"PERSON", "ORGANIZATION", "ADDRESS", "LOCATION", "PHONE", "EMAIL", "URL"}
)

# Types that can be generalized; a person to initials, as courts publish them.
GENERALIZED_TYPES: frozenset[str] = frozenset({"PERSON", "AGE", "BIRTH_DATE", "DATE", "ADDRESS", "QUANTITY"})
