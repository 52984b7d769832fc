# ruff: noqa: E501  -- texts read best as they are written
"""Small texts with names in lists and in parts, and with numbers and law of many states.

All people are invented. `test_field_cases.py` masks them.
"""

from __future__ import annotations

from tests.nlp.masking.field_cases import Case

CASES = (
    Case(
        "possessive",
        "Ms Ranulph's evidence was that Thelonius's van stood in Mrs Achterberg’s drive. The Ranulphs' claim fails.",
        ("Ranulph", "Thelonius", "Achterberg"),
        ("evidence was that", "claim fails"),
    ),
    Case(
        "shared-surname",
        "Gideon and Philippa Hartswood bought the land with their sons Ewan and Tam. Messrs Hartswood paid nothing.",
        ("Gideon", "Philippa", "Hartswood", "Ewan", "Tam"),
        ("paid nothing",),
    ),
    Case(
        "aka",
        'United States v. Doe concerned Marcellus Vane a/k/a "Six" a/k/a M. Vayne, née Kettlewell on his mother\'s side. Vane pleaded guilty under 18 U.S.C. § 924(c).',
        ("Marcellus", "Vane", "Vayne", "Kettlewell"),
        ("18 U.S.C. § 924(c)", "pleaded guilty"),
    ),
    Case(
        "ssn-forms",
        "Her SSN is 219 09 9999; the old form shows 219099999 and the new one xxx-xx-9999. DOB 3/14/76. Medicare No. 1EG4-TE5-MK73.",
        ("219 09 9999", "219099999", "3/14/76", "1EG4-TE5-MK73"),
        ("the old form shows",),
    ),
    Case(
        "acts-people",
        "Sarbanes-Oxley and Dodd-Frank apply; so does the Lanham Act, the Hague Convention and Megan's Law. A Brady claim, a Terry stop and a Crummey trust are different things. Relator Osgood Fenn filed first.",
        ("Osgood", "Fenn"),
        (
            "Sarbanes-Oxley",
            "Dodd-Frank",
            "Lanham Act",
            "Hague Convention",
            "Megan's Law",
            "Brady claim",
            "Terry stop",
            "Crummey trust",
        ),
    ),
    Case(
        "burmese",
        "U Tin Maung Latt and Daw Khin Aye Myint are tenants. Ko Zaw Lin, their son, signed. Daw Khin Aye Myint cannot read English.",
        ("Tin Maung", "Khin", "Aye", "Myint", "Zaw", "Lin,"),
        ("are tenants", "cannot read English"),
    ),
    Case(
        "personnummer",
        "Käranden Torbjörn Åkerlind-Sahl, 720314-4478, yrkar skadestånd av Birgitta Lövenhjelm. Åkerlind-Sahl bor på Skeppargatan 11, 114 52 Stockholm. Enligt 36 § avtalslagen är villkoret oskäligt.",
        ("Torbjörn", "Åkerlind", "720314-4478", "Birgitta", "Lövenhjelm", "Skeppargatan", "114 52"),
        ("36 § avtalslagen", "yrkar skadestånd"),
    ),
    Case(
        "cpr-dk",
        "Sagsøgeren, Aksel Ravnkilde (CPR 140372-1239), bor Møllevangen 8, 8000 Aarhus C. Vidnet Dorthe Skjoldager forklarede, at Ravnkilde kom kl. 22. Efter straffelovens § 244 dømmes han.",
        ("Aksel", "Ravnkilde", "140372-1239", "Møllevangen", "Dorthe", "Skjoldager"),
        ("straffelovens § 244", "forklarede, at"),
    ),
    Case(
        "czech",
        "Žalobkyně Jarmila Procházková tvrdí, že žalovaný Zdeněk Vondráček jí dluží 40 000 Kč. Procházkové nebylo zaplaceno. Podle § 2913 občanského zákoníku soud žalobě s Vondráčkem vyhověl.",
        ("Jarmila", "Procházkov", "Zdeněk", "Vondráč"),
        ("§ 2913 občanského zákoníku",),
    ),
    Case(
        "hungarian",
        "A felperes Szalóky-Tóth Ildikó azt állítja, hogy az alperes dr. Benkő Áron nem fizetett. Szalóky-Tóth Ildikónak 2 000 000 Ft jár a Ptk. 6:142. § alapján.",
        ("Szalóky", "Ildikó", "Benkő", "Áron"),
        ("Ptk. 6:142. §",),
    ),
    Case(
        "ukrainian",
        "Позивач Гриценко Оксана Миколаївна звернулася до суду з позовом до Бондаренка Тараса. Гриценко О.М. просить стягнути борг. Суд керується ст. 625 ЦК України.",
        ("Гриценко", "Оксана", "Миколаївна", "Бондаренк", "Тарас"),
        ("ст. 625 ЦК України",),
    ),
    Case(
        "greek",
        "Ο ενάγων Σταύρος Παπαδημητρόπουλος ζητεί αποζημίωση από την Ευγενία Καλλέργη. Ο Παπαδημητρόπουλος κατέθεσε στις 3 Μαΐου. Κατά το άρθρο 914 ΑΚ η αγωγή είναι βάσιμη.",
        ("Σταύρος", "Παπαδημητρόπουλος", "Ευγενία", "Καλλέργη"),
        ("άρθρο 914 ΑΚ",),
    ),
    Case(
        "turkish",
        "Davacı İbrahim Çağlayangil, davalı Şükriye Yıldızoğlu'nun evi boşaltmasını istemiştir. ÇAĞLAYANGİL'in T.C. kimlik no 10000000146. TBK m. 350 uyarınca karar verildi.",
        ("İbrahim", "Çağlayangil", "ÇAĞLAYANGİL", "Şükriye", "Yıldızoğlu", "10000000146"),
        ("TBK m. 350",),
    ),
    Case(
        "nfd",
        "The tenant, Zoë Bélanger-Nuñez, paid in cash. Zoë Bélanger-Nuñez kept no receipts.",
        ("Zoë", "Zoë", "Bélanger", "Bélanger", "Nuñez", "Nuñez"),
        ("paid in cash", "kept no receipts"),
    ),
    Case(
        "fullwidth",
        "Call ０７７００ ９００１２３ and ask for Ｅｌｏｉｓｅ Ｔｈｗａｉｔｅ. Eloise Thwaite is the executor.",
        ("９００１２３", "Ｅｌｏｉｓｅ", "Ｔｈｗａｉｔｅ", "Eloise", "Thwaite"),
        ("is the executor",),
    ),
    Case(
        "homoglyph",
        "Payment was demanded by Cаrolinе Маlby (the letters are partly Cyrillic). Caroline Malby denies it.",
        ("Cаrolinе", "Маlby", "Caroline", "Malby"),
        ("denies it",),
    ),
    Case(
        "markdown",
        '| No | Name | Role |\n|---|---|---|\n| 1 | **Saoirse Kinsella** | claimant |\n| 2 | _Vikram Deshpande_ | driver |\n\n> Kinsella: "He never braked."',
        ("Saoirse", "Kinsella", "Vikram", "Deshpande"),
        ("claimant", "driver", "He never braked"),
    ),
    Case(
        "json",
        '{"case": "HQ-2291", "claimant": "Wilhelmina Sprague", "dob": "1958-11-02", "solicitor_ref": "WS/44", "notes": "Sprague has moved to 4 Tannery Close, Ludlow SY8 1QW"}',
        ("Wilhelmina", "Sprague", "1958-11-02", "Tannery Close", "SY8 1QW"),
        ('"claimant"', '"dob"', "has moved to"),
    ),
    Case(
        "url-name",
        "See https://www.linkedin.example/in/hortense-abiodun-77 and C:\\Users\\habiodun\\Desktop\\Abiodun_Hortense_CV.docx. Ms Abiodun posted as u/horty_abi.",
        ("hortense-abiodun", "habiodun", "Abiodun", "Hortense"),
        ("posted as",),
    ),
    Case(
        "de-kind",
        "Das Kind Lina-Sophie, geboren am 4. März 2015, lebt bei der Mutter Jacqueline Obermoser. Der Kindesvater, Herr Obermoser-Klatt, hat Umgang (§ 1684 BGB). Lina-Sophie möchte das nicht.",
        ("Lina-Sophie", "4. März 2015", "Jacqueline", "Obermoser", "Klatt"),
        ("§ 1684 BGB", "lebt bei der Mutter"),
    ),
    Case(
        "de-zeuge",
        "Die Zeugen Radtke, Özdemir und Wasielewski haben ausgesagt; der Zeuge Özdemir blieb unvereidigt. Vgl. BGH, Urteil vom 12. Juli 2012 - IX ZR 96/11, NJW 2012, 3424; Palandt/Grüneberg, BGB, § 280 Rn. 12.",
        ("Radtke", "Özdemir", "Wasielewski"),
        (
            "BGH, Urteil vom 12. Juli 2012 - IX ZR 96/11, NJW 2012, 3424",
            "Palandt/Grüneberg, BGB, § 280 Rn. 12",
        ),
    ),
    Case(
        "de-amt",
        "Steuernummer 133/8150/2181, Steuer-ID 86 095 742 719, Versicherungsnummer 65 180539 W 008. Sachbearbeiterin: Fr. Wüllenweber, Zi. 214, Durchwahl -4471. Steuerpflichtiger: Knud Ebbinghaus.",
        ("133/8150/2181", "86 095 742 719", "65 180539 W 008", "Wüllenweber", "Knud", "Ebbinghaus"),
        ("Steuerpflichtiger", "Sachbearbeiterin"),
    ),
    Case(
        "at-linz",
        "Der Beschwerdeführer Leopold Hinterleitner, SVNR 1237 010180, wohnhaft in 4020 Linz, Hafnerstraße 9/3/14, rügt Art. 8 EMRK. Der VfGH verweist auf VfSlg. 19.632/2012. Hinterleitner ist subsidiär schutzberechtigt.",
        ("Leopold", "Hinterleitner", "1237 010180", "Hafnerstraße"),
        ("Art. 8 EMRK", "VfSlg. 19.632/2012"),
    ),
    Case(
        "fr-partie",
        "M. Aurélien Quéméneur et Mme Maëlys Quéméneur née Dufrénoy, demeurant ensemble 3 impasse du Lavoir à Plouguerneau (29880), c/ la société Brasserie du Port. N° sécu 1 84 12 29 195 042 36. Vu l'article L. 1232-1 du code du travail ; Cass. soc., 12 janv. 2012, n° 10-20.345.",
        ("Aurélien", "Quéméneur", "Maëlys", "Dufrénoy", "impasse du Lavoir", "1 84 12 29 195 042"),
        ("article L. 1232-1 du code du travail", "Cass. soc., 12 janv. 2012, n° 10-20.345"),
    ),
    Case(
        "fr-init",
        "Le témoin J.-P. Lestrohan a vu la victime, dite « Lulu », avec Kévin. Selon Lulu, Kévin l'avait menacée. Article 222-33-2-1 du code pénal.",
        ("Lestrohan", "Lulu", "Kévin"),
        ("Article 222-33-2-1 du code pénal", "a vu la victime"),
    ),
    Case(
        "it-sent",
        "Con ricorso depositato il 3.2.2020 Ginevra Boccafogli e Tancredi Boccafogli, rappresentati dall'avv. Prof. Ludovico Sanmarchi, convenivano in giudizio la Sig.ra Assunta De Filicaja. Cass. civ., Sez. III, 11 novembre 2008, n. 26972. La De Filicaja eccepiva la prescrizione ex art. 2947 c.c.",
        ("Ginevra", "Boccafogli", "Tancredi", "Assunta", "Filicaja"),
        ("Cass. civ., Sez. III, 11 novembre 2008, n. 26972", "art. 2947 c.c."),
    ),
    Case(
        "pt-acordao",
        "Agravante: Washington Luiz dos Santos Peixoto. Agravada: Edilene Maria de Souza Peixoto. RG 12.345.678-9 SSP/SP, OAB/SP 123.456. Súmula 7 do STJ. O menor W. L. S. P., filho de Edilene, reside com a avó, dona Nair.",
        ("Washington", "Peixoto", "Edilene", "12.345.678-9", "Nair"),
        ("Súmula 7 do STJ",),
    ),
    Case(
        "nl-singel",
        "[eiser] De heer Wouter van 't Hoenderdaal en mevrouw Sietske Ypma-de Boer, geboren te Sneek op 9-4-1966, wonen op Singel 12-II. BSN 123456782. ECLI:NL:HR:2019:1278. Van 't Hoenderdaal is niet verschenen; art. 6:162 BW.",
        ("Wouter", "Hoenderdaal", "Sietske", "Ypma", "9-4-1966", "123456782"),
        ("ECLI:NL:HR:2019:1278", "art. 6:162 BW"),
    ),
    Case(
        "pl-pesel",
        "Powód Zbigniew Trzaskalski, PESEL 44051401359, NIP 527-010-33-91, zam. ul. Wiśniowa 7 m. 3, 00-950 Warszawa, pozwał Grażynę Trzaskalską. Sąd Najwyższy, III CZP 25/11. Trzaskalscy są po rozwodzie.",
        ("Zbigniew", "Trzaskalsk", "44051401359", "Wiśniowa", "Grażyn", "Trzaskalscy"),
        ("III CZP 25/11",),
    ),
    Case(
        "hr-brod",
        "Tužitelj Krešimir Babogredac, OIB 69435151530, iz Slavonskog Broda, Ulica lipa 4, tuži Željku Babogredac. Svjedokinja Vesna Šimunović-Grgić izjavila je da Krešimiru Babogrecu nije platila. Čl. 1045. ZOO.",
        ("Krešimir", "Babogre", "69435151530", "Ulica lipa", "Željk", "Vesna", "Šimunović"),
        ("Čl. 1045. ZOO",),
    ),
    Case(
        "sr-valjevo",
        "Тужилац Радомир Живојиновић из Ваљева, ЈМБГ 0101965710006, тужи Милеву Стојадиновић. Живојиновићу је исплаћено 20.000 динара. Члан 154. Закона о облигационим односима.",
        ("Радомир", "Живојинови", "0101965710006", "Милев", "Стојадиновић"),
        ("Члан 154. Закона о облигационим односима",),
    ),
    Case(
        "zh-minor",
        "被害人小雨（化名）系被告人赵某甲之女，就读于朝阳区实验小学。证人古丽娜尔·买买提、王某、刘××作证。赵建业的微信号为zhaojy_1979，身份证号110105197903124417。依照《中华人民共和国刑法》第二百三十六条判决。",
        ("赵建业", "古丽娜尔", "买买提", "zhaojy_1979", "110105197903124417"),
        ("《中华人民共和国刑法》第二百三十六条",),
    ),
    Case(
        "zh-trad",
        "原告陳柏翰起訴主張被告林淑芬（民國68年5月1日生，身分證字號A123456789，住臺北市大安區和平東路二段96號3樓）積欠租金。陳柏翰並提出租賃契約。依民法第440條第1項規定。",
        ("陳柏翰", "林淑芬", "A123456789", "和平東路二段96號"),
        ("民法第440條第1項",),
    ),
    Case(
        "zh-contract",
        "甲方：上海启明置业有限公司\n乙方：皇甫思远\n联系人：小孟 电话：021-5555 0142\n开户行：中国工商银行 账号：6222 0210 0111 2345 678\n乙方皇甫思远应于收到通知后七日内付款。",
        ("皇甫思远", "5555 0142", "6222 0210 0111 2345 678"),
        ("应于收到通知后七日内付款", "甲方"),
    ),
    Case(
        "police",
        "PC 4471 Dunmore attended. VRM LK19 XTP. Suspect: O'SHAUGHNESSY, Declan Pól, DOB 02JAN1988, PNCID 88/123456X. CRN 24/000812/19. IP (injured party) RAHIMI, Farzaneh. O'Shaughnessy stated \"I know Farzi.\"",
        (
            "O'SHAUGHNESSY",
            "O'Shaughnessy",
            "Declan",
            "Pól",
            "02JAN1988",
            "RAHIMI",
            "Farzaneh",
            "LK19 XTP",
            "Farzi",
            "88/123456X",
        ),
        ("Suspect:", "stated"),
    ),
    Case(
        "transcript",
        "Q. And you are?\nA. Quillon Marsh. M-A-R-S-H.\nQ. Mr. Marsh, who was in the marsh that night?\nA. Me, Teddy, and a fella they call Spoons.\nTHE COURT: Mr. Marsh, speak up.\nMS. ODUYA: Objection, hearsay.",
        ("Quillon", "Marsh", "M-A-R-S-H", "Teddy", "Spoons"),
        ("who was in the marsh that night", "Objection, hearsay"),
    ),
    Case(
        "deed",
        "THIS DEED is made the 3rd day of June 1998 BETWEEN LEOFRIC JOHN PUMPHREY of 12 Quay Street Fowey in the County of Cornwall (the Grantor) and HESTER PUMPHREY SPINSTER of the same address (the Grantee). SIGNED by the said LEOFRIC JOHN PUMPHREY in the presence of: E. Tuckett, Baker, 3 Fore St.",
        ("LEOFRIC", "PUMPHREY", "HESTER", "Tuckett", "Quay Street"),
        ("THIS DEED is made", "in the presence of"),
    ),
    Case(
        "ocr",
        "Tlie witness, Mr. Erasrnus Coldwe1l, stated that lie saw Mrs. Jackdaw-Finch at tlie inn. Coldwell was cross-examined. Mr Erasmus Coldwell retired.",
        ("Erasrnus", "Coldwe1l", "Coldwell", "Jackdaw", "Finch", "Erasmus"),
        ("was cross-examined",),
    ),
    Case(
        "doctor-report",
        "Re: Lowri Ann Prydderch, NHS No 943 476 5919, Hosp. No. G1123581. I reviewed this 44-year-old lady. Lowri reports low mood since her partner Aled left. Seen with CPN Huxtable. Imp: PTSD. Yours, Dr S. Rajasingham, GMC 7012345.",
        ("Lowri", "Prydderch", "943 476 5919", "G1123581", "Aled"),
        ("low mood since her partner", "Imp: PTSD"),
    ),
    Case(
        "asylum",
        "The Appellant (MA) is a national of Eritrea born on 1 January 1992. His real name is Mebrahtu Araya Tesfamariam. He says that Colonel Wedi Keshi detained him at Sawa. MA (Draft evaders; illegal departures; risk) Eritrea CG [2007] UKAIT 00059 was considered.",
        ("Mebrahtu", "Araya", "Tesfamariam", "1 January 1992"),
        ("MA (Draft evaders; illegal departures; risk) Eritrea CG [2007] UKAIT 00059",),
    ),
    Case(
        "arbitration",
        "LCIA Case No. 204567. Claimant: PT Sumber Rejeki Tbk. Sole arbitrator: Prof. Hyacinthe Dubreuil-Lantos. Claimant's CFO, Bambang Wicaksono, wrote to Respondent's Mr Haakon Tveitan on 2 May: \"Haakon, we will not pay.\" Article 25 LCIA Rules.",
        ("Bambang", "Wicaksono", "Haakon", "Tveitan"),
        ("Article 25 LCIA Rules", "we will not pay"),
    ),
)
