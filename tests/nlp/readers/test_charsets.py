"""Charsets of 8-bit texts: sentences as courts and authorities of many countries write them."""

from __future__ import annotations

import pytest

from lexveil.nlp.readers.plain import decode

SENTENCES = {
    "Polish": "Sąd oddalił apelację powódki Bożeny Wójcik i zasądził koszty postępowania od Skarbu Państwa.",
    "Czech": "Soud zamítl žalobu žalobkyně Věry Šťastné a uložil jí povinnost nahradit náklady řízení.",
    "Slovak": "Krajský súd potvrdil rozsudok, ktorým bola žalobcovi Ľubošovi Kováčovi priznaná náhrada.",
    "Hungarian": "A bíróság elutasította Szűcs Győző keresetét, és kötelezte őt a perköltség megfizetésére.",
    "Romanian": "Instanţa respinge cererea formulată de reclamanta Ştefania Bălan împotriva pârâtului.",
    "Croatian": "Sud je odbio tužbu Đure Šimića i naložio mu da naknadi troškove postupka u roku.",
    "French": "Le tribunal déboute Mme Hélène Lefèvre de sa demande et la condamne à payer les dépens.",
    "German": "Das Gericht weist die Klage der Frau Jäger zurück und trägt die Kosten gemäß § 91 ZPO nicht.",
    "Spanish": "El juzgado desestima la demanda de doña Begoña Núñez y la condena según el artículo 5.",
    "Portuguese": "O juízo julgou improcedente o pedido da autora Conceição Guimarães e condenou-a.",
    "Italian": "Il giudice rigetta la domanda della società perché è infondata e così decide.",
    "Swedish": "Tingsrätten ogillar käromålet och förpliktar Åsa Öberg att ersätta rättegångskostnaderna.",
    "Danish": "Retten frifinder sagsøgte Søren Ærø og pålægger sagsøgeren at betale sagens omkostninger.",
    "Icelandic": "Dómurinn hafnar kröfu Þórðar Ægissonar og dæmir hann til að greiða málskostnað.",
    "Turkish": "Mahkeme davacı Ayşe Yıldız'ın talebini reddetti ve yargılama giderlerini ona yükledi.",
    "Lithuanian": "Teismas atmetė ieškovės Rūtos Žukauskienės ieškinį ir priteisė bylinėjimosi išlaidas.",
    "Greek": "Το δικαστήριο απορρίπτει την αγωγή της Ελένης Παπαδοπούλου και επιβάλλει τα έξοδα.",
    "Russian": "Суд отказал в иске гражданке Ольге Щербаковой и взыскал с неё судебные расходы.",
    "Ukrainian": "Суд відмовив у позові громадянці Оксані Їжакевич і стягнув з неї судові витрати.",
    "Hebrew": "בית המשפט דחה את תביעתה של רחל לוי וחייב אותה בהוצאות ההליך.",
    "Japanese": "裁判所は原告の山田太郎の請求を棄却し、訴訟費用の負担を命じた。",
    "Korean": "법원은 원고 김철수의 청구를 기각하고 소송비용의 부담을 명하였다.",
    "Chinese": "法院驳回原告王小明的诉讼请求，并判令其承担诉讼费用。",
    "Arabic": "رفضت المحكمة دعوى السيدة ليلى حسن وألزمتها بالمصروفات القضائية.",
}
CHARSETS = {
    "Polish": ["cp1250", "iso8859_2", "cp852", "mac_latin2"],
    "Czech": ["cp1250", "iso8859_2", "cp852", "mac_latin2"],
    "Slovak": ["cp1250", "iso8859_2", "cp852"],
    "Hungarian": ["cp1250", "iso8859_2", "cp852"],
    "Romanian": ["cp1250", "iso8859_2", "cp852"],
    "Croatian": ["cp1250", "iso8859_2", "cp852"],
    "French": ["cp1252", "iso8859_1", "cp850", "mac_roman"],
    "German": ["cp1252", "cp850", "mac_roman"],
    "Spanish": ["cp1252", "cp850", "mac_roman"],
    "Portuguese": ["cp1252", "cp850", "mac_roman", "cp860"],
    "Italian": ["cp1252", "cp850", "mac_roman"],
    "Swedish": ["cp1252", "cp850", "mac_roman", "cp865"],
    "Danish": ["cp1252", "cp850", "mac_roman", "cp865"],
    "Icelandic": ["cp1252", "cp861", "mac_iceland"],
    "Turkish": ["cp1254", "iso8859_9", "cp857", "mac_turkish"],
    "Lithuanian": ["cp1257", "iso8859_13"],
    "Greek": ["cp1253", "iso8859_7", "cp737", "mac_greek"],
    "Russian": ["cp1251", "koi8_r", "cp866", "iso8859_5", "mac_cyrillic"],
    "Ukrainian": ["cp1251", "koi8_u"],
    "Hebrew": ["cp1255", "iso8859_8", "cp862"],
    "Arabic": ["cp1256", "iso8859_6", "cp720"],
    "Japanese": ["iso2022_jp", "shift_jis", "euc_jp"],
    "Korean": ["iso2022_kr", "euc_kr"],
    "Chinese": ["hz", "gb18030"],
}


@pytest.mark.parametrize("language", SENTENCES)
def test_each_charset_of_a_language_is_recognized(language: str) -> None:
    sentence = SENTENCES[language]
    for charset in CHARSETS[language]:
        assert decode(sentence.encode(charset)) == sentence, charset


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        ("被告人张三犯盗窃罪，判处有期徒刑三年。本院认为，其行为已构成犯罪。", "gb18030"),
        ("法院判決被告張志明應賠償原告新臺幣五萬元，其餘之訴駁回。", "big5"),
        ("裁判所は原告の請求を棄却し、訴訟費用は原告の負担とする。", "cp932"),
        ("裁判所は原告の請求を棄却し、訴訟費用は原告の負担とする。", "euc_jp"),
        ("名前,年齢,住所\r\n佐藤太郎,30,東京\r\n三木英子,25,大阪\r\n", "cp932"),
        ("법원은 원고의 청구를 기각하고 소송비용은 원고가 부담하도록 하였다.", "euc_kr"),
    ],
)
def test_double_byte_encodings_of_east_asia(text: str, charset: str) -> None:
    assert decode(text.encode(charset)) == text


@pytest.mark.parametrize(
    "text",
    [
        "€ 5",
        "§ 3 – see note",
        "“quoted”",
        "word—word",
        "The rights of the co–owners and of the tenants of £5 or more.",
        "caf\xe9",
        "M\xfcller",
    ],
)
def test_little_evidence_means_windows_1252(text: str) -> None:
    assert decode(text.encode("cp1252")) == text
