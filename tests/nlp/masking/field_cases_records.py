# ruff: noqa: E501  -- texts read best as they are written
"""More texts like those of `field_cases.py`: records, registers, lists of hearings, deeds, chats, scans.

All people are invented.
"""

from __future__ import annotations

from tests.nlp.masking.field_cases import Case

CASES = (
    Case(
        "r7-en-docket-sheet",
        "CIVIL DOCKET FOR CASE #: 3:21-cv-00487\n"
        "Morozova-Lyle v. Cascade Freight Lines, Inc.\n"
        "Date Filed: 09/14/2021   Jury Demand: Plaintiff\n"
        "\n"
        "Plaintiff\n"
        "Anfisa Morozova-Lyle        represented by   Terrence P. Goodbody\n"
        "                                             GOODBODY & STERN LLP\n"
        "                                             LEAD ATTORNEY\n"
        "Defendant\n"
        "Cascade Freight Lines, Inc.\n"
        "\n"
        "10/02/2021  14  MOTION to Dismiss by Cascade Freight Lines, Inc. (Attachments: # 1 Declaration of Wiley Sturgess)\n"
        "11/19/2021  22  DEPOSITION of Anfisa Morozova-Lyle taken.",
        ("Anfisa", "Morozova", "Lyle", "Wiley", "Sturgess"),
        ("MOTION to Dismiss", "LEAD ATTORNEY", "Jury Demand: Plaintiff"),
    ),
    Case(
        "r7-en-cause-list",
        "CROWN COURT AT SNARESBROOK - DAILY LIST - Court 7\n"
        "10.00  T20217044  R v LEKSONO, Bima   For Plea\n"
        "10.30  T20210981  R v Farrimond & Oyelade   For Sentence\n"
        "11.00  S20210322  R v WITTICOMBE, Jolyon Hugh   Committal for Sentence\n"
        "Not before 2.00 pm\n"
        "A20210077  Appeal - DEMPSTER-ASH, Coral",
        ("LEKSONO", "Bima", "Farrimond", "Oyelade", "WITTICOMBE", "Jolyon", "DEMPSTER", "Coral"),
        ("For Sentence", "Committal for Sentence", "Not before 2.00 pm", "DAILY LIST"),
    ),
    Case(
        "r7-en-poa",
        "GENERAL POWER OF ATTORNEY\n"
        "\n"
        'BY THIS DEED dated the 3rd day of May 2019 I, PRIMROSE ADA KITCHENER-VOGT of Larkfield, Station Road, Oundle PE8 4BW appoint my niece TESSA MARGUERITE AMBROZIC ("my Attorney") to be my attorney in accordance with section 10 of the Powers of Attorney Act 1971.\n'
        "\n"
        "SIGNED as a deed by the said PRIMROSE ADA KITCHENER-VOGT in the presence of:\n"
        "Witness: R Skellern\n"
        "Occupation: Chiropodist",
        ("PRIMROSE", "KITCHENER", "VOGT", "PE8 4BW", "TESSA", "MARGUERITE", "AMBROZIC", "Skellern"),
        (
            "GENERAL POWER OF ATTORNEY",
            "section 10 of the Powers of Attorney Act 1971",
            "in the presence of",
            '("my Attorney")',
        ),
    ),
    Case(
        "r7-en-expert-engineer",
        "3.2 I inspected the scaffold on 11 January 2021 with Mr Wojtyla of the main contractor. He told me that the ledger brace had been taken out by \"one of Sandeep's lads\". I have seen the statement of Sandeep Gurung at tab 6. The Young's modulus of the tube and its Poisson's ratio are within BS EN 39. Euler buckling does not explain the collapse. Signed: Eleri Pritchard-Okon CEng MIStructE",
        ("Wojtyla", "Sandeep", "Gurung", "Eleri", "Pritchard", "Okon"),
        (
            "Young's modulus",
            "Poisson's ratio",
            "BS EN 39",
            "Euler buckling",
            "ledger brace had been taken out",
        ),
    ),
    Case(
        "r7-en-asylum-interview",
        "Q47 Who came to your house that night?\n"
        "A47 Three men of Harakat al-Shabaab. One was Abdullahi Dhega-Cas, he is from my clan.\n"
        "Q48 What did they say to your father?\n"
        "A48 They said: give us Hodan. Hodan is my sister. My father Warsame Elmi refused.\n"
        "Q49 How do you spell the name of your village?\n"
        "A49 B-U-U-L-O M-A-R-E-E-R.\n"
        "Interpreter: Ms Sagal Nuur. Interviewing officer: K. Timmis.",
        ("Abdullahi", "Dhega", "Hodan", "Warsame", "Elmi", "Sagal", "Nuur", "Timmis"),
        ("Who came to your house that night", "Interviewing officer"),
    ),
    Case(
        "r7-en-family-order",
        "IN THE FAMILY COURT\n"
        "The children are Wilfred (born 9 March 2014), Saskia (born 21 July 2016) and baby Otis.\n"
        "1. The child Saskia shall live with the maternal grandmother, Mrs Dilys Havergal.\n"
        "2. The father shall spend time with Wilfred and Saskia each Saturday, handovers at Costa Coffee.\n"
        "3. Ms Yelland, the social worker, shall file an addendum by 4pm on 2 June 2022. Section 8 of the Children Act 1989 applies.",
        ("Wilfred", "Saskia", "Otis", "Dilys", "Havergal", "9 March 2014", "21 July 2016"),
        ("shall spend time with", "Section 8 of the Children Act 1989"),
    ),
    Case(
        "r7-en-arbitration-award",
        "36. Respondent's witness, Mr. Lars-Åke Brännvall, testified that the FIDIC notice was late. Dr. Chukwuma Ezenwa-Pratt, Claimant's quantum expert, disagreed. The Tribunal prefers Ezenwa-Pratt on this. See Fomento de Construcciones v. Colon Container Terminal, BGE 127 III 279; Dallah v Pakistan [2010] UKSC 46; ICC Rules, Art. 38; Gary Born, International Commercial Arbitration (3rd ed.), p. 2121.",
        ("Lars", "Brännvall", "Chukwuma", "Ezenwa", "Pratt"),
        ("Dallah v Pakistan [2010] UKSC 46", "ICC Rules, Art. 38"),
    ),
    Case(
        "r7-en-tax-private-ruling",
        "Re: Request for private ruling - Halcyon Orchards Pty Ltd (ABN 51 824 753 556)\n"
        "The trustee, Mr Bede Carmody, asks whether Division 7A of the ITAA 1936 applies to the loan to his daughter Kirra. TFN 876 543 210. Section 109D was considered in Commissioner of Taxation v Bamford (2010) 240 CLR 481. Contact: Trudi Vella, tax agent 24681357, ph (03) 5550 1442.",
        ("Bede", "Carmody", "Kirra", "876 543 210", "Trudi", "Vella", "5550 1442"),
        (
            "Division 7A of the ITAA 1936",
            "Commissioner of Taxation v Bamford (2010) 240 CLR 481",
            "Section 109D",
        ),
    ),
    Case(
        "r7-en-companies-house",
        "AP01 - Appointment of director\n"
        "Company name: SPINDRIFT MARINE LIMITED   Company number: 08412297\n"
        "Title: Mr   Full forename(s): Caradoc Elis   Surname: Penhallow-Shah\n"
        "Former name: Caradoc Penhallow\n"
        "Country/State of residence: WALES   Nationality: BRITISH\n"
        "Date of birth: 04/1979   Occupation: Boatbuilder",
        ("Caradoc", "Elis", "Penhallow", "Shah"),
        ("Appointment of director",),
    ),
    Case(
        "r7-en-board-table",
        "| Director | Attended | Voted | Note |\n"
        "|---|---|---|---|\n"
        "| Ines Vasconcelos-Hart | 4/4 | For | Chair |\n"
        "| R. Ødegaard | 3/4 | Against | by phone |\n"
        "| Park Min-jun | 4/4 | Abstained | |\n"
        "| Sir Alasdair Crum | 2/4 | For | |",
        ("Ines", "Vasconcelos", "Hart", "Ødegaard", "Min-jun", "Alasdair", "Crum"),
        ("| Director | Attended | Voted | Note |", "Against", "Abstained", "by phone"),
    ),
    Case(
        "r7-en-quoted-deed",
        'The 1897 conveyance was made "between Ebenezer Yarwood of Nantwich in the County of Chester, Gentleman, of the one part and Josiah Brindley and Hephzibah his wife of the other part". The present owner, Mr Yarwood\'s great-grandson Toby Lisle, relies on the covenant. In Tulk v Moxhay (1848) 2 Ph 774 the burden ran. Rhone v Stephens is against him.',
        ("Ebenezer", "Yarwood", "Josiah", "Brindley", "Hephzibah", "Toby", "Lisle"),
        ("Tulk v Moxhay (1848) 2 Ph 774", "the burden ran", "relies on the covenant"),
    ),
    Case(
        "r7-en-hr-grievance",
        "Hi Mags,\n"
        "\n"
        'Just to recap yesterday. Gaz kept calling Folasade "Fola the Moaner" and Lindsey from payroll laughed. When I spoke to Gaz he said it was banter. I\'ve asked Folasade to put it in writing by the 5th. Can you sit in on the meeting with Union rep Errol?\n'
        "\n"
        "Cheers\n"
        "Bex",
        ("Mags", "Gaz", "Folasade", "Fola", "Lindsey", "Errol", "Bex"),
        ("Just to recap yesterday", "he said it was banter", "put it in writing by the 5th"),
    ),
    Case(
        "r7-en-us-sentencing",
        "THE CLERK: United States versus Delonte Marquis Whitfield, 19-CR-0663.\n"
        "MS. ABERNETHY-CRUZ: Good afternoon. Willa Abernethy-Cruz for the government.\n"
        "THE COURT: I've read the letters from Mr. Whitfield's aunt, Miss Earlene, and from Coach Dupree.\n"
        "THE DEFENDANT: I want to say sorry to the Nakagawa family. Kenji was my friend.\n"
        "THE COURT: Under Booker and 18 U.S.C. § 3553(a) the guidelines are advisory.",
        ("Delonte", "Marquis", "Whitfield", "Earlene", "Dupree", "Nakagawa", "Kenji"),
        ("the guidelines are advisory", "I want to say sorry"),
    ),
    Case(
        "r7-en-ocr-lease",
        'THlS LEASE is made the 4th day of ]une 1988 BETWEEN (1) CLEMENT ARTHUR 0SGATHORPE of The 0ld Forge Wing ("the Land1ord") and (2) M1RIAM PELHAM-DOWD ("the Tenant"). The Tenant shaIl pay the rent of £4,2OO per annum. Mrs Pe1ham-Dowd covenants not to keep pigs. Law of Property Act 1925 s. 146.',
        ("CLEMENT", "SGATHORPE", "MIRIAM", "RIAM", "PELHAM", "ham-Dowd"),
        ("covenants not to keep pigs", "Law of Property Act 1925 s. 146", "THlS LEASE is made"),
    ),
    Case(
        "r7-en-laws-places",
        "The sites at Sellafield and Windscale were governed by the Nuclear Installations Act 1965. Under the Rome I Regulation, the Hague-Visby Rules and the Berne Convention, read with the Dublin III Regulation and the Chicago Convention, the claim fails. The Kyoto Protocol and the Lugano Convention are not in issue. The pilot, Captain Ruaridh Gillanders, gave no evidence.",
        ("Ruaridh", "Gillanders"),
        (
            "Rome I Regulation",
            "Hague-Visby Rules",
            "Berne Convention",
            "Dublin III Regulation",
            "Chicago Convention",
            "Kyoto Protocol",
            "Lugano Convention",
            "gave no evidence",
        ),
    ),
    Case(
        "r7-en-firms-as-names",
        "Marks and Spencer plc, J. Sainsbury plc and Rolls-Royce Holdings plc opposed the listing. The auditors were Ernst & Young LLP; Morgan Stanley & Co. underwrote. Their counsel in the transaction, Allen & Overy LLP, said nothing about Harrods. Former employee Tamara Spencer-Quill complained; Quill's claim was settled.",
        ("Tamara", "Quill"),
        (),
    ),
    Case(
        "r7-de-pruefung",
        "Prüfungsbericht Nr. 7/2020\n"
        "An der Kassenprüfung nahmen teil: Obfrau Kriemhild Assheuer, Schatzmeister H.-P. Dröge, Ersatzprüfer Cengiz.\n"
        "Fehlbetrag: 412,30 €. Dröge gab an, das Geld seiner Schwägerin Almut geliehen zu haben. Kriemhild Assheuer bat um Niederschrift.\n"
        "Rechtsgrundlage: § 27 Abs. 3 BGB i.V.m. § 666 BGB",
        ("Kriemhild", "Assheuer", "Dröge", "Cengiz", "Almut"),
        ("§ 27 Abs. 3 BGB i.V.m. § 666 BGB", "Prüfungsbericht", "bat um Niederschrift"),
    ),
    Case(
        "r7-de-asyl",
        "Der Antragsteller, ein afghanischer Staatsangehöriger vom Volk der Hazara, trug bei seiner Anhörung vor, sein Onkel Mohammad Zaher Rezaie sei von den Taliban getötet worden. Sein Bruder Nematullah lebe in Herat. Der Dolmetscher, Herr Farhad Amini, übersetzte aus dem Dari. Das BAMF lehnte ab, § 3 Abs. 1 AsylG; vgl. BVerwG, Urteil vom 20. Februar 2013 - 10 C 23.12 -, BVerwGE 146, 67.",
        ("Zaher", "Rezaie", "Nematullah", "Farhad", "Amini"),
        (
            "§ 3 Abs. 1 AsylG",
            "BVerwG, Urteil vom 20. Februar 2013 - 10 C 23.12 -, BVerwGE 146, 67",
            "lehnte ab",
        ),
    ),
    Case(
        "r7-de-handelsregister",
        "Amtsgericht Walsrode HRB 203118\n"
        "Heidekraut Logistik GmbH, Soltau. Bestellt als Geschäftsführer: Tjarks, Fenna, Bispingen, *14.02.1981, einzelvertretungsberechtigt. Nicht mehr Geschäftsführer: Wolff-Metternich, Claas, Hamburg, *03.11.1955. Prokura erloschen: Yıldız, Ömer, Soltau.",
        ("Tjarks", "Fenna", "14.02.1981", "Metternich", "Claas", "03.11.1955", "Yıldız", "Ömer"),
        ("Bestellt als Geschäftsführer", "Prokura erloschen"),
    ),
    Case(
        "r7-de-terminsliste",
        "Sitzungsaushang Saal 112, Montag, 14.03.2022\n"
        "09:00  12 C 88/21  Ostermeier ./. Pfaffinger  wg. Räumung\n"
        "09:45  12 C 131/21  WEG Lindenhof ./. Szymaniak-Rüter, E.  wg. Forderung\n"
        "10:30  7 Ds 402 Js 991/21  Strafsache gegen Leutloff, Ronny  wg. Diebstahls\n"
        "Der Vorsitzende: RiAG Hölderle",
        ("Ostermeier", "Pfaffinger", "Szymaniak", "Rüter", "Leutloff", "Ronny"),
        ("wg. Räumung", "wg. Forderung", "Sitzungsaushang"),
    ),
    Case(
        "r7-de-notar",
        "Verhandelt zu Bad Säckingen am 7. April 2021. Vor mir, dem Notar Dr. Burkhart Finkenzeller, erschienen: 1. Frau Isolde Margarete Riepl geb. Hohlwein, geboren am 30. August 1949, wohnhaft Im Grüble 3, 79713 Bad Säckingen; 2. deren Sohn Ruben Riepl. Die Erschienene zu 1 verfügte, Ruben solle das Hausgrundstück Flst. 118/4 erhalten. Auf § 2287 BGB wurde hingewiesen.",
        ("Isolde", "Riepl", "Hohlwein", "30. August 1949", "Grüble", "79713", "Ruben"),
        ("Auf § 2287 BGB wurde hingewiesen", "Die Erschienene zu 1 verfügte"),
    ),
    Case(
        "r7-fr-cpv-reunion",
        "COMPTE RENDU DE LA RÉUNION DU CSE\n"
        "Présents : Mme Aminata DIARRASSOUBA (présidente), M. Loïc Fontanier (secrétaire), Jean-Baptiste\n"
        "Excusée : Clémence R.\n"
        "Point 3. M. Fontanier dénonce les propos tenus par le chef d'atelier, un certain Bréchet, à l'encontre d'Aminata. Jean-Baptiste confirme. Il est rappelé l'article L. 1152-1 du code du travail.",
        ("Aminata", "DIARRASSOUBA", "Loïc", "Fontanier", "Baptiste", "Clémence", "Bréchet"),
        ("article L. 1152-1 du code du travail", "COMPTE RENDU DE LA RÉUNION DU CSE", "dénonce les propos"),
    ),
    Case(
        "r7-fr-ofpra",
        "La requérante, Mme Espérance Mukandayisenga, de nationalité rwandaise, soutient que son époux, Théogène Habyambere, a disparu. Elle produit une lettre de l'abbé Callixte. Par décision du 12 mars 2018, l'OFPRA a rejeté sa demande. Vu la convention de Genève du 28 juillet 1951, l'article L. 511-1 du CESEDA et CE, 21 mai 1997, Pourcel, n° 159999.",
        ("Espérance", "Mukandayisenga", "Théogène", "Habyambere", "Callixte"),
        (
            "convention de Genève du 28 juillet 1951",
            "article L. 511-1 du CESEDA",
            "CE, 21 mai 1997, Pourcel, n° 159999",
            "l'OFPRA a rejeté",
        ),
    ),
    Case(
        "r7-fr-procuration",
        "PROCURATION\n"
        "Je soussigné, Aurélien Gaspard BOISSERIE, né le 2 octobre 1968 à Tulle, demeurant 8 impasse du Vieux-Lavoir, 19000 Tulle, donne pouvoir à ma sœur, Mme Hélène BOISSERIE épouse TRINTIGNAC, de vendre le véhicule immatriculé EK-482-ZR. Fait à Tulle. Signature précédée de la mention « bon pour pouvoir ».",
        (
            "Aurélien",
            "Gaspard",
            "BOISSERIE",
            "2 octobre 1968",
            "Vieux-Lavoir",
            "Hélène",
            "TRINTIGNAC",
            "EK-482-ZR",
        ),
        ("PROCURATION", "bon pour pouvoir", "donne pouvoir à ma sœur"),
    ),
    Case(
        "r7-fr-constat",
        "L'an deux mille vingt et un et le seize septembre, je, Maître Odilon VASSEUR, huissier de justice, requis par Mme Perrine Chaumeil, ai constaté chez son voisin, M. Brahim OUAZZANI-TOUHAMI, une fuite d'eau. Le gardien, prénommé Ulysse, m'a ouvert. M. OUAZZANI-TOUHAMI refuse de signer. Art. 1240 C. civ.",
        ("Perrine", "Chaumeil", "Brahim", "OUAZZANI", "TOUHAMI", "Ulysse"),
        ("Art. 1240 C. civ.", "huissier de justice", "une fuite d'eau"),
    ),
    Case(
        "r7-es-escritura",
        "ESCRITURA DE COMPRAVENTA. NÚMERO MIL CUATROCIENTOS DOCE. Ante mí, CAYETANA ROBLEDANO FERRIZ, notaria, COMPARECEN: De una parte, don Eutimio Carrascosa de la Hoz, viudo, con DNI 11.223.344-B; y de otra, la mercantil INMOBILIARIA TAJO ALTO, S.L., representada por su administrador, don Iker Zabaltza. Don Eutimio manifiesta que la finca está libre de cargas. Artículo 1445 del Código Civil.",
        ("Eutimio", "Carrascosa", "11.223.344", "Iker", "Zabaltza"),
        ("Artículo 1445 del Código Civil", "ESCRITURA DE COMPRAVENTA"),
    ),
    Case(
        "r7-es-co-tutela",
        "Acción de tutela instaurada por Yurleidy Marcela Quiñones Mosquera, en representación de su hijo menor Deiver Alexis, contra la EPS Salud Andina. El juez de primera instancia negó el amparo. La accionante, identificada con C.C. 1.082.345.678, expuso que Deiver Alexis requiere terapia. Sentencias T-760 de 2008 y SU-508 de 2020; artículo 86 de la Constitución Política.",
        ("Yurleidy", "Quiñones", "Mosquera", "Deiver", "1.082.345.678"),
        ("T-760 de 2008", "SU-508 de 2020", "artículo 86 de la Constitución Política", "negó el amparo"),
    ),
    Case(
        "r7-es-correo",
        "De: Leire Otxoa <leire.otxoa@bufete.example>\n"
        "Para: Gonzalo Pernas\n"
        "Asunto: RE: borrador Vda. de Corominas\n"
        "\n"
        "Gonzalo:\n"
        "\n"
        "habla tú con Remedios, que a mí no me coge el teléfono. El perito, un tal Bermejo, dice que el muro es anterior a 1980.\n"
        "\n"
        "Un abrazo,\n"
        "Leire",
        ("Leire", "Otxoa", "leire.otxoa", "Gonzalo", "Pernas", "Corominas", "Remedios", "Bermejo"),
        ("borrador", "el muro es anterior a 1980", "no me coge el teléfono"),
    ),
    Case(
        "r7-it-sentenza-penale",
        "FATTO E DIRITTO. Con sentenza del 12.5.2017 il Tribunale di Lodi ha condannato Mirko Scaccabarozzi per il reato di cui all'art. 612-bis c.p. in danno di Ylenia Buttafuoco. La teste Buttafuoco ha riferito che lo Scaccabarozzi la seguiva insieme all'amico Gegè. Cfr. Cass. pen., sez. V, 24 gennaio 2018, n. 10050; Cass., S.U., n. 28011/2021.",
        ("Mirko", "Scaccabarozzi", "Ylenia", "Buttafuoco", "Gegè"),
        (
            "art. 612-bis c.p.",
            "Cass. pen., sez. V, 24 gennaio 2018, n. 10050",
            "Cass., S.U., n. 28011/2021",
            "Tribunale di Lodi",
        ),
    ),
    Case(
        "r7-it-condominio",
        "VERBALE DI ASSEMBLEA\n"
        "Sono presenti: Ardizzone (mill. 120), eredi Bevilacqua (mill. 85), Sig.ra Iolanda Cocuzza per delega a Ruggero Tricarico (mill. 64).\n"
        "Il sig. Ardizzone lamenta che il cane della Cocuzza abbaia. La Tricarico no. Si delibera ex art. 1136 c.c. L'amministratore Geom. Nevio Poletto redige il verbale.",
        ("Ardizzone", "Bevilacqua", "Iolanda", "Cocuzza", "Ruggero", "Tricarico", "Nevio", "Poletto"),
        ("VERBALE DI ASSEMBLEA", "Si delibera ex art. 1136 c.c.", "redige il verbale"),
    ),
    Case(
        "r7-pt-procuracao",
        "PROCURAÇÃO. OUTORGANTE: Marivalda Queiroz Sarmento, brasileira, viúva, RG 12.345.678-9 SSP/SP, residente na Rua das Acácias, 77, Sorocaba. OUTORGADO: Dr. Tibúrcio Lemos, OAB/SP 123.456. PODERES: os da cláusula ad judicia, art. 105 do CPC. A outorgante declara que seu filho Wesley não sabe ler.",
        ("Marivalda", "Queiroz", "Sarmento", "12.345.678-9", "Acácias", "Wesley"),
        ("cláusula ad judicia", "art. 105 do CPC", "A outorgante declara"),
    ),
    Case(
        "r7-pt-acordao",
        "Acordam no Tribunal da Relação de Guimarães. O arguido Hélder Vilaverde interpôs recurso. A ofendida, Custódia Rebordões, disse que o «Lelo» lhe partiu o vidro; Lelo é a alcunha do arguido. Cfr. Ac. do STJ de 12-05-2016, proc. 2/14.0GBVRL.G1.S1; art. 143.º, n.º 1, do Código Penal.",
        ("Hélder", "Vilaverde", "Custódia", "Rebordões", "Lelo"),
        (
            "Tribunal da Relação de Guimarães",
            "art. 143.º, n.º 1, do Código Penal",
            "Ac. do STJ de 12-05-2016, proc. 2/14.0GBVRL.G1.S1",
        ),
    ),
    Case(
        "r7-nl-akte",
        "AKTE VAN LEVERING. Heden verscheen voor mij, mr. Douwe Feddema, notaris te Sneek: mevrouw Tjitske Bouma-Postma, geboren te Workum op 3 januari 1951, wonende Wijde Gracht 12, 8601 AB Sneek, en haar kleinzoon Jelmer. De verkoper verklaarde dat Jelmer de woning bewoont. Artikel 3:89 BW is van toepassing.",
        ("Tjitske", "Bouma", "Postma", "3 januari 1951", "Wijde Gracht", "8601 AB", "Jelmer"),
        ("Artikel 3:89 BW", "AKTE VAN LEVERING", "De verkoper verklaarde"),
    ),
    Case(
        "r7-nl-mail",
        "Beste Floortje,\n"
        "\n"
        "Ik heb Roelof van Eijsden gesproken. Hij zegt dat Gijsbert en die Kowalski de dozen hebben meegenomen. Bel jij Marijke nog? Zie ook HR 3 april 2015, ECLI:NL:HR:2015:840 en art. 6:162 BW.\n"
        "\n"
        "Groet,\n"
        "Teun",
        ("Floortje", "Roelof", "Eijsden", "Gijsbert", "Kowalski", "Marijke", "Teun"),
        ("HR 3 april 2015, ECLI:NL:HR:2015:840", "art. 6:162 BW", "de dozen hebben meegenomen"),
    ),
    Case(
        "r7-pl-umowa",
        "UMOWA NAJMU zawarta w Sandomierzu pomiędzy Bożydarem Węgrzynkiem, PESEL 85031207654, zwanym dalej Wynajmującym, a Ludmiłą Skórzewską-Bąk, zwaną dalej Najemcą. Poręczycielem jest Tymoteusz Bąk. Bożydar Węgrzynek oddaje lokal do używania. W sprawach nieuregulowanych stosuje się art. 659 k.c.",
        ("Bożydar", "Węgrzyn", "85031207654", "Ludmił", "Skórzewsk", "Bąk", "Tymoteusz"),
        ("UMOWA NAJMU", "art. 659 k.c.", "zwanym dalej Wynajmującym"),
    ),
    Case(
        "r7-pl-notatka",
        "NOTATKA URZĘDOWA. Dnia 4.06.2020 st. sierż. Kamil Rdzanek udał się na ul. Ogrodową 5. Zgłaszająca, Wiesława Ptaszyńska, oświadczyła, że konkubent Zdzisław groził jej nożem. Zdzisław Mroczek był pijany (1,2 mg/l). Syn Oskarek spał. Art. 207 § 1 k.k.",
        ("Ogrodową 5", "Wiesław", "Ptaszyńsk", "Zdzisław", "Mroczek", "Oskar"),
        ("NOTATKA URZĘDOWA", "Art. 207 § 1 k.k.", "był pijany"),
    ),
    Case(
        "r7-hr-zapisnik",
        "ZAPISNIK o ročištu. Pristupili: tužitelj Vjekoslav Perušić osobno, za tuženicu odvj. Dunja Lalić. Svjedokinja Milka Grgurević iskazuje: Vidjela sam Krešu kako razbija prozor. Krešo je Vjekoslavov šogor. Tuženica Snježana Perušić prigovara. Čl. 1045. ZOO.",
        ("Vjekoslav", "Perušić", "Milk", "Grgurević", "Krešu", "Krešo", "Snježan"),
        ("ZAPISNIK o ročištu", "Čl. 1045. ZOO", "kako razbija prozor"),
    ),
    Case(
        "r7-sr-ugovor",
        "УГОВОР О ЗАЈМУ закључен између Радомира Тодосијевића из Ваљева, ЈМБГ 1203968770012 (зајмодавац) и Светлане Влаисављевић (зајмопримац). Јемац је Бранкица. Радомир Тодосијевић предаје износ од 2.000 евра. Члан 557. Закона о облигационим односима.",
        ("Радомир", "Тодосијевић", "1203968770012", "Светлан", "Влаисављевић", "Бранкиц"),
        ("УГОВОР О ЗАЈМУ", "Члан 557. Закона о облигационим односима"),
    ),
    Case(
        "r7-zh-notary",
        "公证书\n"
        "申请人：温慕瑶，女，一九七八年三月五日出生，公民身份号码：320106197803052429，现住江苏省苏州市姑苏区平江路66号。\n"
        "兹证明温慕瑶于二〇二〇年六月一日在我处签署了《委托书》，委托其胞弟温子骞出售房屋。\n"
        "中华人民共和国江苏省苏州市某公证处 公证员 盛怀远",
        ("温慕瑶", "320106197803052429", "平江路66号", "温子骞"),
        ("公证书", "《委托书》", "出售房屋"),
    ),
    Case(
        "r7-zh-mediation",
        "人民调解协议书\n"
        "甲方：查明远，电话13611112222\n"
        "乙方：仇丽萍\n"
        "甲方养的狗将乙方之子小乐乐咬伤。经调解员劝说，查明远赔偿仇丽萍3200元。仇丽萍不再追究。依据《中华人民共和国民法典》第一千二百四十五条。",
        ("查明远", "13611112222", "仇丽萍", "乐乐"),
        ("人民调解协议书", "《中华人民共和国民法典》第一千二百四十五条", "不再追究"),
    ),
    Case(
        "r7-mix-swiss-it-de",
        "Verfügung der Staatsanwaltschaft: Dem Beschuldigten Fabrizio Quadranti (geb. 5.5.1990), italiano, residente a Chiasso, wird vorgeworfen, die Geschädigte Noemi Bernasconi-Huber bedroht zu haben. Bernasconi-Huber ha dichiarato: «Fabrizio mi ha detto che conosce Don Luigi.» Art. 180 StGB; BGE 141 IV 1.",
        ("Fabrizio", "Quadranti", "5.5.1990", "Noemi", "Bernasconi", "Huber", "Luigi"),
        ("Art. 180 StGB", "BGE 141 IV 1", "bedroht zu haben"),
    ),
    Case(
        "r7-caption-photo",
        "Fig. 4: Claimant (left) with co-driver Nkechi Baird at the depot, 2018. Photo: Stellan Moe.\n"
        "Fig. 5: Skid marks on the A45. © Warwickshire Police.\n"
        'Fig. 6 - Text message from "Uncle Rod" to Nkechi, 23:14.\n'
        "Table 2: Braking distances (Baird's van).",
        ("Nkechi", "Baird", "Stellan", "Moe", "Rod"),
        ("Fig. 4: Claimant (left)",),
    ),
    Case(
        "r7-n2-housing-notice",
        "NOTICE SEEKING POSSESSION (Housing Act 1988 section 8)\n"
        "1 To: Ozan Demirtas-Pole and Clodagh Pole\n"
        "2 Your landlord(s): Mr H Vasquez-Quilligan\n"
        "3 Grounds 8, 10 and 11 are relied upon.\n"
        "4 Ozan told our agent Bethan on 3 May that he would pay. He has not.\n"
        "Signed (agent): Bethan Ruck\n"
        "Phone 01632 960 144",
        ("Ozan", "Demirtas", "Pole", "Clodagh", "Vasquez", "Quilligan", "Bethan", "Ruck", "960 144"),
        ("Housing Act 1988 section 8", "Grounds 8, 10 and 11 are relied upon", "that he would pay"),
    ),
    Case(
        "r7-n2-coroner-doc",
        "RECORD OF INQUEST\n"
        "The deceased, Rhiannon Tegan Ballantyne, aged 19, was found by her flatmate Jemima at about 07.10. Paramedic Noakes pronounced life extinct. The Toxicologist, Dr Ireti Falodun, found fentanyl. Tegan's mother, Carys Ballantyne, had last spoken to her on the Sunday. Section 10 Coroners and Justice Act 2009.",
        ("Rhiannon", "Tegan", "Ballantyne", "Jemima", "Noakes", "Ireti", "Falodun", "Carys"),
        ("Section 10 Coroners and Justice Act 2009", "RECORD OF INQUEST", "pronounced life extinct"),
    ),
    Case(
        "r7-n2-deposition-index",
        "INDEX\n"
        "Witness                      Direct   Cross   Redirect\n"
        "Agnieszka Boyle-Torres          4       31        58\n"
        "Det. Lyle Fontenot             61       77        --\n"
        "Dr. Prakash Sundaresan         90      104       110\n"
        "\n"
        "EXHIBITS\n"
        "No. 3   Email, Boyle-Torres to Fontenot\n"
        "No. 4   Photograph of staircase",
        ("Agnieszka", "Boyle", "Torres", "Lyle", "Fontenot", "Prakash", "Sundaresan"),
        ("EXHIBITS", "Photograph of staircase"),
    ),
    Case(
        "r7-n2-school-exclusion",
        "Dear Governors,\n"
        "\n"
        "I am Milo's nan. Milo Applegarth-Singh (Year 9) was excluded for five days because Mr Crabbe said he pushed Tariq off the wall. Tariq's own sister Amira says Milo was in the lunch queue. Miss Oyelaran-Cobb saw it too. Please look at the CCTV. Exclusions guidance 2017, para 20.\n"
        "\n"
        "Mrs June Applegarth",
        ("Milo", "Applegarth", "Singh", "Crabbe", "Tariq", "Amira", "Oyelaran", "Cobb", "June"),
        ("Exclusions guidance 2017, para 20", "Please look at the CCTV", "was in the lunch queue"),
    ),
    Case(
        "r7-n2-family-court-de",
        "Beschluss\n"
        "In der Familiensache betreffend die minderjährigen Kinder Lasse und Merle Bredehöft, beide wohnhaft bei der Kindesmutter Sina Bredehöft, geb. Krumrey. Verfahrensbeistand: Frau Anneliese Tjaden. Das Jugendamt hat berichtet, Merle verweigere Umgang mit dem Vater Torge. §§ 1671, 1697a BGB.",
        ("Lasse", "Merle", "Bredehöft", "Sina", "Krumrey", "Anneliese", "Tjaden", "Torge"),
        ("§§ 1671, 1697a BGB", "Das Jugendamt hat berichtet", "verweigere Umgang"),
    ),
    Case(
        "r7-n2-de-mietstreit",
        "Die Mieterin Frau Zeynep Karakaş-Lohse rügt Schimmel. Hausmeister Wenzel Pospischil bestätigt das. Der Sachverständige Dipl.-Ing. Ottfried Gnann maß 84 % Feuchte. Auf die Rechtsprechung des BGH (NJW 2019, 507; BGH, Urt. v. 5.12.2018 – VIII ZR 271/17) wird verwiesen. Pospischils Aussage ist ergiebig.",
        ("Zeynep", "Karakaş", "Lohse", "Wenzel", "Pospischil", "Ottfried", "Gnann"),
        ("BGH (NJW 2019, 507; BGH, Urt. v. 5.12.2018 – VIII ZR 271/17)", "rügt Schimmel", "ist ergiebig"),
    ),
    Case(
        "r7-n2-de-einwohner",
        "Meldebescheinigung\n"
        "Familienname: Freiherr von Quitzow-Rading\n"
        "Vornamen: Ansgar Wolf-Dietrich\n"
        "Geburtsdatum: 11.11.1944  Geburtsort: Königsberg\n"
        "Anschrift: Am Alten Wasserwerk 2 b, 19230 Hagenow\n"
        "Ehegatte: Roswitha, geb. Schnürpel\n"
        "Religion: ev.",
        (
            "Quitzow",
            "Rading",
            "Ansgar",
            "Dietrich",
            "11.11.1944",
            "Wasserwerk",
            "19230",
            "Roswitha",
            "Schnürpel",
        ),
        ("Meldebescheinigung", "Familienname", "Vornamen", "Geburtsort"),
    ),
    Case(
        "r7-n2-de-email-kette",
        "Hallo Frau Dr. Sprenglewski,\n"
        "\n"
        "danke für Ihre Mail. Der Schriftsatz geht morgen raus. Herr Yücel möchte den Vergleich, Uwe (sein Bruder) nicht. Können Sie Jacqueline bitten, die Vollmacht zu schicken?\n"
        "\n"
        "LG\n"
        "Mandy Oehmichen\n"
        "ReNo-Fachangestellte",
        ("Sprenglewski", "Yücel", "Uwe", "Jacqueline", "Mandy", "Oehmichen"),
        ("danke für Ihre Mail", "Der Schriftsatz geht morgen raus"),
    ),
    Case(
        "r7-n2-fr-jaf",
        "JUGE AUX AFFAIRES FAMILIALES\n"
        "Entre : Mme Ségolène Vauquelin, née le 4 juin 1986 à Vire, d'une part, et M. Thibaud Le Dantec, d'autre part.\n"
        "De leur union sont issus Maëlys, née en 2012, et Côme, né en 2015. Fixe la résidence de Maëlys chez la mère. Dit que M. Le Dantec recevra Côme un week-end sur deux. Article 373-2-9 du code civil.",
        ("Ségolène", "Vauquelin", "4 juin 1986", "Thibaud", "Dantec", "Maëlys", "Côme"),
        ("Article 373-2-9 du code civil", "Fixe la résidence de", "un week-end sur deux"),
    ),
    Case(
        "r7-n2-fr-mail-syndic",
        "Bonjour,\n"
        "\n"
        "Suite à l'appel de Mme Zerhouni, locataire au 3e gauche, je confirme que le plombier (Kevin, de chez Aqua Services) passe jeudi. Merci de prévenir M. et Mme Poulichet-Barre. Quant à Guénolé, il n'a toujours pas rendu les clefs.\n"
        "\n"
        "Cdlt,\n"
        "Pascaline",
        ("Zerhouni", "Kevin", "Poulichet", "Barre", "Guénolé", "Pascaline"),
        ("passe jeudi", "il n'a toujours pas rendu les clefs"),
    ),
    Case(
        "r7-n2-es-burofax",
        "BUROFAX CON ACUSE DE RECIBO\n"
        "D. Wenceslao Ibarrondo Quer\n"
        "C/ Mayor de Gràcia 88, 3.º 2.ª\n"
        "08012 Barcelona\n"
        "\n"
        "Muy Sr. mío: Me dirijo a usted en nombre de mi cliente, Dña. Ariadna Puigcerver, a quien adeuda 1.200 € de fianza. Su hermano Nil, que firmó como avalista, ya ha sido requerido. Art. 1101 CC.",
        ("Wenceslao", "Ibarrondo", "Quer", "08012", "Ariadna", "Puigcerver", "Nil"),
        ("BUROFAX CON ACUSE DE RECIBO", "Muy Sr. mío", "Art. 1101 CC"),
    ),
    Case(
        "r7-n2-es-laboral",
        "SENTENCIA. En Gijón, a 3 de marzo de 2021. Vistos por la Ilma. Sra. Dña. Camino Robledal, Magistrada-Juez, los autos 455/20 a instancia de Yago Berruguete Sanz contra PANADERÍAS DEL CANTÁBRICO S.L. HECHOS PROBADOS: Primero.- El actor, Yago, prestó servicios como hornero. Segundo.- La encargada, Olvido Trapiella, le entregó carta de despido. STS de 20 de julio de 2018 (rec. 2228/2015); art. 54 ET.",
        ("Yago", "Berruguete", "Sanz", "Olvido", "Trapiella"),
        ("art. 54 ET", "HECHOS PROBADOS", "le entregó carta de despido"),
    ),
    Case(
        "r7-n2-mx-denuncia",
        "CARPETA DE INVESTIGACIÓN CI-FEDE/88/UI-2/00143/2022\n"
        'Comparece la C. Xóchitl Guadalupe Arriaga Tun, CURP AITX900412MCCRNC05, y DECLARA: que su vecino, el señor Eleuterio Canché, alias "El Gallo", golpeó a su sobrino Brayan. Que El Gallo se dio a la fuga. Artículos 14 y 16 de la Constitución.',
        (
            "Xóchitl",
            "Guadalupe",
            "Arriaga",
            "Tun",
            "AITX900412MCCRNC05",
            "Eleuterio",
            "Canché",
            "Brayan",
            "Gallo",
        ),
        ("DECLARA", "Artículos 14 y 16 de la Constitución", "se dio a la fuga"),
    ),
    Case(
        "r7-n2-it-divorzio",
        "RICORSO PER SEPARAZIONE GIUDIZIALE\n"
        "La sig.ra Benedetta Ruggiu, nata a Nuoro il 7/8/1979, C.F. RGGBDT79M47F979X, espone: di aver contratto matrimonio con Efisio Loddo; che dalla unione è nata Gaia, di anni 9; che il Loddo ha lasciato la casa coniugale per andare a vivere con tale Samantha. Artt. 150 e 151 c.c.",
        ("Benedetta", "Ruggiu", "7/8/1979", "RGGBDT79M47F979X", "Efisio", "Loddo", "Gaia", "Samantha"),
        ("Artt. 150 e 151 c.c.", "RICORSO PER SEPARAZIONE GIUDIZIALE", "la casa coniugale"),
    ),
    Case(
        "r7-n2-it-email",
        "Gentile Avvocato,\n"
        "\n"
        "le giro quanto mi ha scritto Pierluigi. Il geometra Sbardella non ha mai depositato la SCIA. Domani sento anche la Dott.ssa Quagliarella e, se serve, Concetta.\n"
        "\n"
        "Un caro saluto,\n"
        "Desirée",
        ("Pierluigi", "Sbardella", "Quagliarella", "Concetta", "Desirée"),
        ("Gentile Avvocato", "non ha mai depositato la SCIA"),
    ),
    Case(
        "r7-n2-pt-inquerito",
        "AUTO DE INQUIRIÇÃO DE TESTEMUNHA\n"
        "Nome: Florinda do Rosário Patacas   Estado civil: viúva   Profissão: costureira\n"
        "Disse que viu o denunciado, seu genro Baltazar, bater na filha, Lúcia. Disse ainda que o agente Quintela tomou conta da ocorrência. Mais não disse. Artigo 132.º do CPP.",
        ("Florinda", "Rosário", "Patacas", "Baltazar", "Lúcia", "Quintela"),
        ("AUTO DE INQUIRIÇÃO DE TESTEMUNHA", "Mais não disse", "Artigo 132.º do CPP"),
    ),
    Case(
        "r7-n2-pt-br-trab",
        "RECLAMAÇÃO TRABALHISTA\n"
        "Reclamante: JUCILENE APARECIDA BRANDÃO DIAS\n"
        "Reclamada: PADARIA PÃO DA VILA LTDA. - ME\n"
        'A reclamante foi admitida por seu Osvaldo, dono da padaria, em 2/5/2017. O gerente, Cleiton, a chamava de "lerda". Requer horas extras (art. 59 da CLT; Súmula 338 do TST).',
        ("JUCILENE", "APARECIDA", "BRANDÃO", "Osvaldo", "Cleiton"),
        ("RECLAMAÇÃO TRABALHISTA", "art. 59 da CLT; Súmula 338 do TST"),
    ),
    Case(
        "r7-n2-nl-proces",
        "PROCES-VERBAAL VAN VERHOOR\n"
        'Verbalisanten: B. Hoekzema en L. El Khatib. Verdachte Romano Kluivers, geboren 8-2-1999 te Almere, verklaarde: "Ik was bij Shanice thuis. Haar broer Djuno kan dat bevestigen." Op de vraag wie de scooter reed antwoordde Kluivers: "Dat zeg ik niet." Artikel 29 Sv.',
        ("Hoekzema", "Khatib", "Romano", "Kluivers", "8-2-1999", "Shanice", "Djuno"),
        ("PROCES-VERBAAL VAN VERHOOR", "Artikel 29 Sv", "antwoordde"),
    ),
    Case(
        "r7-n2-nl-vof",
        "UITTREKSEL HANDELSREGISTER\n"
        "KvK-nummer 61234567\n"
        "Statutaire naam: Bakkerij Zandstra V.O.F.\n"
        "Vennoot: Zandstra, Froukje Aaltje, geb. 14-09-1966\n"
        "Vennoot: Okafor, Emeka, geb. 02-03-1971\n"
        "Bevoegdheid: onbeperkt",
        ("Froukje", "Aaltje", "14-09-1966", "Okafor", "Emeka", "02-03-1971"),
        ("UITTREKSEL HANDELSREGISTER", "Statutaire naam", "Bevoegdheid: onbeperkt"),
    ),
    Case(
        "r7-n2-pl-opinia",
        "OPINIA BIEGŁEGO\n"
        "Zlecona postanowieniem Sądu Rejonowego w Płocku, II K 311/20. Badana: Hildegarda Osuch, lat 43. W wywiadzie badana podała, że mąż, Ireneusz Osuch, nadużywa alkoholu, a teściowa Genowefa ją wyzywa. Ireneuszowi nie przedstawiono zarzutów. Zespół Aspergera wykluczono. Art. 193 § 1 k.p.k.",
        ("Hildegard", "Osuch", "Ireneusz", "Genowef"),
        ("OPINIA BIEGŁEGO", "Art. 193 § 1 k.p.k.", "nadużywa alkoholu", "Zespół Aspergera wykluczono"),
    ),
    Case(
        "r7-n2-pl-mail",
        "Szanowny Panie Mecenasie,\n"
        "\n"
        "przesyłam notatkę od Kingi. Pan Zabłocki nie przyjdzie na rozprawę, bo jest chory. Bartek widział wypadek, ale boi się zeznawać. Proszę zadzwonić do mamy Bartka, pani Dobrosławy.\n"
        "\n"
        "Pozdrawiam\n"
        "Wioletta Ćwiertnia",
        ("King", "Zabłocki", "Bart", "Dobrosław", "Wiolett", "Ćwiertni"),
        ("Szanowny Panie Mecenasie", "nie przyjdzie na rozprawę", "ale boi się zeznawać"),
    ),
    Case(
        "r7-n2-hr-punomoc",
        "PUNOMOĆ\n"
        "Ja, Tihana Brkljačić iz Siska, OIB 12345678903, opunomoćujem odvjetnika Zvonka Maričaka da me zastupa u ostavinskom postupku iza pok. Stjepana Brkljačića. Moj brat Domagoj odrekao se nasljedstva. Zakon o nasljeđivanju, čl. 130.",
        ("Tihan", "Brkljačić", "12345678903", "Stjepan", "Domagoj"),
        ("PUNOMOĆ", "odrekao se nasljedstva", "čl. 130."),
    ),
    Case(
        "r7-n2-sr-krivicna",
        "KRIVIČNA PRIJAVA\n"
        "protiv Dragoslava Petronijevića zv. Žuća, iz Užica, zbog krivičnog dela iz člana 194 KZ. Oštećena Ljiljana Petronijević navela je da joj je suprug pretio pred decom, Vukom i Unom. Žuća je priznao. Svedok: komšinica Radojka Simeunović.",
        ("Dragoslav", "Petronijević", "Žuć", "Ljiljan", "Vuk", "Unom", "Radojk", "Simeunović"),
        ("KRIVIČNA PRIJAVA", "člana 194 KZ", "je priznao"),
    ),
    Case(
        "r7-n2-zh-arbitration",
        "劳动人事争议仲裁委员会庭审笔录\n"
        "仲裁员：现在核对当事人身份。\n"
        "申请人：我叫覃露瑶，住南宁市青秀区民族大道9号。\n"
        "被申请人代理人：公司人事经理卜志诚。\n"
        "申请人：卜经理让我签空白合同，同事小覃和韦丽娜都看到了。\n"
        "仲裁员：依据《劳动合同法》第八十二条，双方是否同意调解？",
        ("覃露瑶", "民族大道9号", "卜志诚", "韦丽娜"),
        ("庭审笔录", "《劳动合同法》第八十二条", "双方是否同意调解", "现在核对当事人身份"),
    ),
    Case(
        "r7-n2-zh-trad",
        "香港特別行政區 區域法院\n"
        "傷亡訴訟案件2021年第456號\n"
        "原告人 歐陽慧賢\n"
        "被告人 新昌工程有限公司\n"
        "原告人歐陽慧賢於2019年在荃灣跌倒,其夫鄧志強送她到醫院。醫生譚永康的報告指她左膝受傷。參閱《僱員補償條例》(第282章)第9條。",
        ("歐陽慧賢", "鄧志強", "譚永康"),
        ("被告人", "《僱員補償條例》(第282章)第9條", "左膝受傷"),
    ),
    Case(
        "r7-n2-in-bail",
        "CRL. M.C. 2210/2021\n"
        "Petitioner, Raghavendra Murthy S/o Late Venkoba Rao, seeks bail. As per the FIR lodged by one Mst. Shabnam Ara, the petitioner along with co-accused Chintu @ Chintamani beat her son Aslam. Ld. APP Mr. Tushar opposes. Reliance is placed on Sanjay Chandra v. CBI, (2012) 1 SCC 40 and on Arnesh Kumar. Issue notice.",
        ("Raghavendra", "Murthy", "Venkoba", "Shabnam", "Chintu", "Chintamani", "Aslam"),
        ("Sanjay Chandra v. CBI, (2012) 1 SCC 40", "Issue notice", "co-accused"),
    ),
    Case(
        "r7-n2-footnote-cites",
        "The duty is settled.[4] Its scope is not.[5]\n"
        "[4] Robinson v Chief Constable of West Yorkshire [2018] UKSC 4, [2018] AC 736, paras 21-30 (Lord Reed); Stapleton, 'Duty of Care' (1995) 111 LQR 301.\n"
        "[5] Cf. Barclays Bank plc v Grant Thornton [2015] EWHC 320 (Comm); Hart & Honoré, Causation in the Law (2nd edn, OUP 1985) 112. The claimant in this case, Mr Ludo Farquharson-Bligh, relies on neither.",
        ("Ludo", "Farquharson", "Bligh"),
        (
            "Robinson v Chief Constable of West Yorkshire [2018] UKSC 4, [2018] AC 736",
            "Barclays Bank plc v Grant Thornton [2015] EWHC 320 (Comm)",
        ),
    ),
    Case(
        "r7-n2-defined-terms",
        'THIS SETTLEMENT AGREEMENT is made between Orlagh Fennimore (the "Employee") and Tarn Valley Foods Limited (the "Employer"). The Employee\'s Adviser is Mr J. T. Ruddle of Ruddle & Co. The Employee warrants that she has no claim against Barnabas Crake, Head of People. "Termination Date" means 30 June 2022. Section 203(3) Employment Rights Act 1996.',
        ("Orlagh", "Fennimore", "Barnabas", "Crake"),
        (
            "THIS SETTLEMENT AGREEMENT",
            '(the "Employee")',
            "Termination Date",
            "Section 203(3) Employment Rights Act 1996",
        ),
    ),
)
