"""TODO docstring."""

from __future__ import annotations

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

NOT_PERSONAL = ""

FOREIGN_TYPES: dict[str, str] = {
    **TAB_TYPES,
    # CoNLL and its kin
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
    # Legal-Entity-Recognition (German); its case law, norms and literature are law
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
    "ID_NUMBER",  # of a person: passport, tax, social security, licence
    "ACCOUNT_NUMBER",  # of a bank account or a payment card
    "PLATE",
    "CASE_NUMBER",
    "ORGANIZATION",
    "DATE",
    "DEMOGRAPHIC",  # nationality, ethnicity, religion, profession, health
    "QUANTITY",  # amounts, counts and percentages
    "MISC",  # what else may tell who somebody is
)


# What tells who somebody is by itself; all other types do so only together with what else is known.
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

# Personal by what is said, not by the word: the same word elsewhere says nothing about anybody.
CONTEXTUAL_TYPES: frozenset[str] = frozenset(
    {"AGE", "BIRTH_DATE", "FAMILY_MEMBER", "DATE", "DEMOGRAPHIC", "QUANTITY", "MISC"}
)

SURROGATE_TYPES: frozenset[str] = frozenset(
    {"PERSON", "ORGANIZATION", "ADDRESS", "LOCATION", "PHONE", "EMAIL", "URL"}
)

# A person's generalisation are initials, as courts publish them.
GENERALIZED_TYPES: frozenset[str] = frozenset({"PERSON", "AGE", "BIRTH_DATE", "DATE", "ADDRESS", "QUANTITY"})
