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

# Numbers and codes of countries that the recognizers of Presidio find.
_NUMBERS: dict[str, str] = {
    "ID_NUMBER": (
        "AU_ABN AU_ACN AU_MEDICARE AU_TFN CA_SIN DE_BSNR DE_FUEHRERSCHEIN DE_HANDELSREGISTER "
        "DE_HEALTH_INSURANCE DE_ID_CARD DE_LANR DE_PASSPORT DE_SOCIAL_SECURITY DE_TAX_ID "
        "DE_TAX_NUMBER DE_VAT_ID ES_NIE ES_NIF ES_PASSPORT FI_PERSONAL_IDENTITY_CODE ID IN_AADHAAR "
        "IN_GSTIN IN_PAN IN_PASSPORT IN_VOTER IT_DRIVER_LICENSE IT_FISCAL_CODE IT_IDENTITY_CARD "
        "IT_PASSPORT IT_VAT_CODE KR_BRN KR_DRIVER_LICENSE KR_FRN KR_PASSPORT KR_RRN MEDICAL_LICENSE "
        "NG_NIN PH_PASSPORT PH_TIN PH_UMID PL_PESEL SE_ORGANISATIONSNUMMER SE_PERSONNUMMER "
        "SG_NRIC_FIN SG_UEN TH_TNIN TR_NATIONAL_ID UK_DRIVING_LICENCE UK_NHS UK_NINO UK_PASSPORT "
        "US_CLAIM_NUMBER US_HEALTH_INSURANCE_MEMBER_ID US_MBI US_NPI US_PRESCRIPTION_NUMBER "
        "US_PRIOR_AUTHORIZATION_NUMBER US_PROVIDER_TAX_ID US_REFERRAL_NUMBER UUID "
        "ZA_COMPANY_REGISTRATION ZA_DRIVER_LICENSE ZA_ID_NUMBER ZA_INCOME_TAX_NUMBER ZA_PASSPORT "
        "ZA_TRAFFIC_REGISTER_NUMBER ZA_VAT_NUMBER"
    ),
    "ACCOUNT_NUMBER": "ABA_ROUTING_NUMBER CRYPTO",
    "PLATE": (
        "DE_KFZ IN_VEHICLE_REGISTRATION NG_VEHICLE_REGISTRATION TR_LICENSE_PLATE "
        "UK_VEHICLE_REGISTRATION ZA_LICENSE_PLATE"
    ),
    "ADDRESS": "CA_POSTAL_CODE DE_PLZ UK_POSTCODE ZIP",
    "PHONE": "ZA_MOBILE_NUMBER ZA_TELEPHONE_NUMBER",
}

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
    "MAC_ADDRESS": "IP_ADDRESS",
    **{name: kind for kind, names in _NUMBERS.items() for name in names.split()},
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
