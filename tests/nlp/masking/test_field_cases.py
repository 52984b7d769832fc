# ruff: noqa: E501  -- texts read best as they are written
"""Small texts of courts, law firms and regulators in many languages, masked with `light` from end to end.

All people are invented. What must be gone is gone wherever a word begins with it; what must stay is law, or an
ordinary word that a detector could take for a name.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

import pytest

from lexveil.nlp.masking.policy import Preset
from lexveil.pipeline.masking.texts import mask_texts
from lexveil.pipeline.settings import MaskSettings


class Case(NamedTuple):
    """A text, the beginnings of words that must be masked, and what must stay."""

    name: str
    text: str
    gone: tuple[str, ...]
    kept: tuple[str, ...]


CASES = (
    Case(
        "en-sig-block",
        "If the above reflects our agreement, please countersign and return one copy.\n"
        "\n"
        "Yours faithfully,\n"
        "\n"
        "Ngozi Okwuosa-Bright\n"
        "Head of Compliance\n"
        "Tel. 020 7946 0812\n"
        "\n"
        "Agreed and accepted:\n"
        "\n"
        "____________________\n"
        "Tobias Wren\n"
        "Date: 4 May 2022",
        ("Ngozi", "Okwuosa", "Tobias", "Wren", "7946 0812"),
        ("please countersign and return one copy", "Agreed and accepted"),
    ),
    Case(
        "en-cc-line",
        "To: Hartwell, Imogen\n"
        "Cc: r.baptiste@oakleigh.example; Pemberton-Yates, Giles; Sunniva Dahl\n"
        "Subject: Disclosure - second tranche\n"
        "\n"
        "Imogen, Giles is right that we cannot disclose the Dahl notes without a ruling under CPR 31.19. Sunniva will call you.\n"
        "\n"
        "IH",
        ("Hartwell", "Imogen", "baptiste", "Pemberton", "Yates", "Giles", "Sunniva", "Dahl"),
        ("CPR 31.19", "without a ruling under"),
    ),
    Case(
        "en-minutes",
        "MINUTES OF THE REMUNERATION COMMITTEE\n"
        "\n"
        "Present: Fenella Marchbanks (FM), Oluwaseun Adeyemi (OA), Joost ter Horst (JtH)\n"
        "Apologies: Bríd Lenihan\n"
        "\n"
        "1. FM opened the meeting at 10.05.\n"
        "2. OA said that the bonus pool had been misreported. FM asked JtH to obtain the ledgers.\n"
        "3. Action: OA to write to the regulator by Friday.",
        ("Fenella", "Marchbanks", "Oluwaseun", "Adeyemi", "Joost", "Horst", "Bríd", "Lenihan"),
        ("opened the meeting at", "to obtain the ledgers", "to write to the regulator"),
    ),
    Case(
        "en-invoice",
        "INVOICE No. 2023/0441\n"
        "Bill to: Messrs Adalbert & Thrupp, attn. Mrs Yolanda Crisp\n"
        "VAT Reg. GB 123 4567 82\n"
        "Attendance on client (Mr. Q. Farthingale) re conveyance      2.5 h    £625.00\n"
        "Telephone call to E. Lindqvist                               0.3 h     £75.00\n"
        "Total due within 30 days",
        ("Yolanda", "Crisp", "Farthingale", "Lindqvist"),
        ("Attendance on client", "Total due within 30 days"),
    ),
    Case(
        "en-police",
        "INCIDENT REPORT 22-00817\n"
        "R/O: Dep. M. Szymanski #4471\n"
        "VICT: VANCE, LORETTA JEAN  F/W  DOB 03/14/1961\n"
        'SUSP: "Tico" (real name unknown), H/M, approx 25\n'
        "WIT 1: HALVORSEN, KIRK\n"
        "Narrative: On the above date I spoke to Vance, who stated that Tico and Halvorsen had been arguing over a dog.",
        ("Szymanski", "VANCE", "LORETTA", "03/14/1961", "HALVORSEN", "KIRK", "Vance", "Halvorsen", "Tico"),
        ("had been arguing over a dog", "Narrative"),
    ),
    Case(
        "en-medical",
        "DISCHARGE SUMMARY\n"
        "Patient: Ottoline Greaves   Hosp No: 7712093   DOB: 19.07.1948\n"
        "Consultant: Mr S. R. Venkataraghavan\n"
        "GP: Dr Fitzroy, The Elms Surgery\n"
        "This 74 year old retired teacher was admitted with chest pain. Mrs Greaves lives with her daughter Hebe. Plan: Ottoline to be reviewed in 6 weeks.",
        ("Ottoline", "Greaves", "7712093", "19.07.1948", "Venkataraghavan", "Fitzroy", "Hebe"),
        ("was admitted with chest pain", "to be reviewed in 6 weeks"),
    ),
    Case(
        "en-footnote",
        "The assessment was carried out by an independent psychologist.[12] It was not disputed.[13]\n"
        "\n"
        "[12] Report of Dr Rosalind Achterberg dated 9 June 2020, tab 4.\n"
        "[13] See Vane v Roe [2015] EWCA Civ 1214 at [33]; Phipson on Evidence (20th ed), para 33-10; McGregor on Damages, 21st ed., 8-003.",
        ("Rosalind", "Achterberg"),
        (
            "Vane v Roe [2015] EWCA Civ 1214",
            "Phipson on Evidence",
            "McGregor on Damages",
            "was carried out by an independent psychologist",
        ),
    ),
    Case(
        "en-uk-books",
        "The leading textbooks agree: Archbold, Criminal Pleading 2022, para 4-245; Blackstone's Criminal Practice B4.12; Chitty on Contracts (34th edn) 1-033; Snell's Equity; Clerk & Lindsell on Torts. As Professor Ormerod observes in Smith and Hogan, the mens rea is intention. The defendant, Cuthbert Laidlaw, denied it.",
        ("Cuthbert", "Laidlaw"),
        (
            "Archbold",
            "Blackstone's Criminal Practice",
            "Chitty on Contracts",
            "Snell's Equity",
            "Clerk & Lindsell on Torts",
            "Smith and Hogan",
        ),
    ),
    Case(
        "en-lords",
        "Lord Bridge in Caparo set out the threefold test. Lord Atkin had said otherwise in Donoghue v Stevenson [1932] AC 562. Following Lord Hoffmann in SAAMCO, the duty is limited. In Caparo Industries plc v Dickman [1990] 2 AC 605 the claimants were shareholders. Here Mr Anselm Drury owned no shares.",
        ("Anselm", "Drury"),
        (
            "in Caparo",
            "threefold test",
            "Donoghue v Stevenson [1932] AC 562",
            "Caparo Industries plc v Dickman [1990] 2 AC 605",
            "SAAMCO",
        ),
    ),
    Case(
        "en-ny",
        "Defendant's motion pursuant to N.Y. C.P.L.R. 3211(a)(7) is denied. See Matter of Vane, 20 N.Y.2d 30 (1967); CPLR 3016(b); Matter of Kettering v. Boll, 88 A.D.3d 512. Plaintiff Rosalba Figueroa-Lum has stated a claim; Mr. Eberhard Nast has not answered.",
        ("Rosalba", "Figueroa", "Eberhard", "Nast"),
        (
            "N.Y. C.P.L.R. 3211(a)(7)",
            "Matter of Vane, 20 N.Y.2d 30",
            "CPLR 3016(b)",
            "Matter of Kettering v. Boll, 88 A.D.3d 512",
            "has stated a claim",
        ),
    ),
    Case(
        "en-cpr",
        "The claim form is struck out under CPR 3.4(2)(a) and CPR Part 24, and PD 16 para 8.2. By CPR r. 44.3(5) costs are proportionate. Ms Philippa Oduya appeared in person.",
        ("Philippa", "Oduya"),
        ("CPR 3.4(2)(a)", "CPR Part 24", "PD 16 para 8.2", "CPR r. 44.3(5)", "appeared in person"),
    ),
    Case(
        "en-au",
        "Federal Circuit and Family Court of Australia (Division 1)\n"
        "Pruchnik & Delacourt [2022] FedCFamC1F 118\n"
        "File number: MLC 4410 of 2020\n"
        "The father, Mr Pruchnik, seeks that the child X live with him. The mother relies on s 60CC of the Family Law Act 1975 (Cth) and on Goode v Goode (2006) FLC 93-286. The maternal grandmother, Mirela Delacourt-Ion, gave an affidavit.",
        ("Mirela", "Delacourt-Ion"),
        ("s 60CC of the Family Law Act 1975 (Cth)", "gave an affidavit"),
    ),
    Case(
        "en-ca",
        "Citation: R. v. Tootoosis-Bell, 2021 SKQB 144\n"
        "The accused, Dakota Tootoosis-Bell, is charged under s. 267(a) of the Criminal Code. Cst. Marie-Ève Thibodeau arrested him at 14 Poplar Crescent. Gladue factors apply: R. v. Ipeelee, 2012 SCC 13. His kokum, Agnes Whitecalf, raised him.",
        ("Dakota", "Marie", "Thibodeau", "14 Poplar", "Agnes", "Whitecalf"),
        ("s. 267(a) of the Criminal Code", "R. v. Ipeelee, 2012 SCC 13", "Gladue factors"),
    ),
    Case(
        "en-ng",
        "IN THE COURT OF APPEAL, LAGOS DIVISION\n"
        "BETWEEN\n"
        "1. ALHAJI MUSA GARBA DANJUMA\n"
        "2. CHIEF (MRS) FOLASHADE BANKOLE-COKER .... APPELLANTS\n"
        "AND\n"
        "THE STATE .... RESPONDENT\n"
        "PW3, Inspector Ikenna Obiora, tendered Exhibit C. The 2nd Appellant, Folashade, denied it. See Okafor v. Nweke (2007) 10 NWLR (Pt. 1043) 521.",
        ("MUSA", "GARBA", "DANJUMA", "FOLASHADE", "BANKOLE", "Ikenna", "Obiora", "Folashade"),
        ("Okafor v. Nweke (2007) 10 NWLR (Pt. 1043) 521", "tendered Exhibit C"),
    ),
    Case(
        "en-alias",
        'The claimant, Tamsin Ashgrove ("TA"), alleges that Hugo Verbeek (hereinafter "HV") copied the design. TA met HV in 2018. HV denies that he owed TA any duty. The Court notes that HV was evasive.',
        ("Tamsin", "Ashgrove", "Hugo", "Verbeek", "TA ", "HV "),
        ("copied the design", "any duty", "was evasive"),
    ),
    Case(
        "en-gdpr",
        "From: dpo@harrow.example\n"
        "Data subject: Xiomara Benavides Toledo, account 4471-00-2281\n"
        "Ms Benavides asks for erasure under Article 17 GDPR. Her husband (Ignacio) and her colleague J. Oddie are copied. IP: 203.0.113.77",
        ("Xiomara", "Benavides", "Toledo", "4471-00-2281", "Ignacio", "Oddie", "203.0.113.77"),
        ("Article 17 GDPR", "asks for erasure"),
    ),
    Case(
        "de-chat",
        "Kurt: Hast du den Vertrag schon unterschrieben?\n"
        "Mandy: nein, der Chef will erst mit Torben reden\n"
        "Kurt: Torben ist doch im Urlaub\n"
        "Mandy: dann halt mit der Frau Özdemir\n"
        "Kurt: ok, bis morgen",
        ("Kurt", "Mandy", "Torben", "Özdemir"),
        ("den Vertrag schon unterschrieben", "doch im Urlaub", "bis morgen"),
    ),
    Case(
        "de-alias",
        "Die Klägerin Annegret Wollenhaupt (im Folgenden: A.W.) und der Beklagte Karl Meier (im Folgenden: K.M.) schlossen am 3. Mai 2018 einen Kaufvertrag. K.M. zahlte nicht. A.W. trat nach § 323 BGB zurück. Nach Auffassung des K.M. war die Frist zu kurz.",
        ("Annegret", "Wollenhaupt", "Karl", "Meier", "K.M.", "A.W."),
        ("§ 323 BGB", "einen Kaufvertrag", "zahlte nicht", "war die Frist zu kurz"),
    ),
    Case(
        "de-nick",
        'Der Angeklagte Dragoslav Petrovic, genannt "Schorsch", und sein Bruder Milos (Spitzname Kalle) fuhren zur Tankstelle. Schorsch wartete im Wagen, während Kalle die Kasse aufbrach. Strafbar ist das nach §§ 242, 243 StGB.',
        ("Dragoslav", "Petrovic", "Schorsch", "Milos", "Kalle"),
        ("fuhren zur Tankstelle", "§§ 242, 243 StGB", "die Kasse aufbrach"),
    ),
    Case(
        "de-rubrum",
        "Amtsgericht Neustadt\n"
        "Az.: 4 C 512/21\n"
        "\n"
        "In dem Rechtsstreit\n"
        "\n"
        "Friedhelm Grützmacher, Lindenallee 4, 31535 Neustadt\n"
        "- Kläger -\n"
        "Prozessbevollmächtigte: Rechtsanwälte Hoppe & Kollegen\n"
        "\n"
        "gegen\n"
        "\n"
        "Yıldız Arslan-Becker, Am Markt 9, 31535 Neustadt\n"
        "- Beklagte -\n"
        "\n"
        "hat das Amtsgericht durch die Richterin am Amtsgericht Dr. Uhlenbrock für Recht erkannt: Die Klage wird abgewiesen.",
        ("Friedhelm", "Grützmacher", "Lindenallee", "Yıldız", "Arslan", "Becker", "Am Markt 9"),
        ("für Recht erkannt: Die Klage wird abgewiesen",),
    ),
    Case(
        "de-trade",
        "Die Verwechslungsgefahr ist umfassend zu beurteilen (BGH, GRUR 2010, 1098 Rn. 44 – Calvin Klein; GRUR 2013, 833 Rn. 30 – Culinaria/Villa Culinaria; EuGH, C-251/95 – Sabèl/Puma). Die Klägerin, vertreten durch ihre Geschäftsführerin Sieglinde Harms, stützt sich auf § 14 Abs. 2 MarkenG.",
        ("Sieglinde", "Harms"),
        (
            "GRUR 2010, 1098 Rn. 44 – Calvin Klein",
            "GRUR 2013, 833 Rn. 30 – Culinaria/Villa Culinaria",
            "C-251/95 – Sabèl/Puma",
            "§ 14 Abs. 2 MarkenG",
        ),
    ),
    Case(
        "de-letter",
        "Sehr geehrte Frau Kollegin Drechsler,\n"
        "\n"
        "in Sachen Pfannenschmidt ./. Öztürk teile ich mit, dass mein Mandant Öztürk mit dem Vergleich einverstanden ist. Herr Pfannenschmidt möge bis zum 30.06. zahlen.\n"
        "\n"
        "Mit freundlichen kollegialen Grüßen\n"
        "Wiebke Janssen\n"
        "Rechtsanwältin",
        ("Pfannenschmidt", "Öztürk", "Drechsler", "Wiebke", "Janssen"),
        ("mit dem Vergleich einverstanden ist", "Mit freundlichen kollegialen Grüßen"),
    ),
    Case(
        "de-arzt",
        "Arztbrief\n"
        "Patientin: Lieselotte Krautkrämer, geb. 12.11.1939\n"
        "Wir berichten über o. g. Patientin. Fr. Krautkrämer stürzte am 2.2. zu Hause. Die Tochter (Fr. Moll) wurde informiert. Hausarzt: Dr. med. Stüwe. Diagnose: Schenkelhalsfraktur rechts.",
        ("Lieselotte", "Krautkrämer", "12.11.1939", "Moll", "Stüwe"),
        ("Schenkelhalsfraktur rechts", "wurde informiert"),
    ),
    Case(
        "de-protokoll",
        "Protokoll der Gesellschafterversammlung\n"
        "Anwesend: Hr. Petzold (P), Fr. Dr. Nguyen (N), Ruprecht Eisele (E)\n"
        "P eröffnet die Sitzung um 10 Uhr. N beantragt, den Geschäftsführer Jens-Uwe Kaltenbach abzuberufen. E enthält sich.",
        ("Petzold", "Nguyen", "Ruprecht", "Eisele", "Jens", "Uwe", "Kaltenbach"),
        ("eröffnet die Sitzung um 10 Uhr", "enthält sich"),
    ),
    Case(
        "de-polizei",
        "Beschuldigter: SCHÄFFLER, Maik, geb. 07.01.1990 in Riesa\n"
        "Zeugin: KOSLOWSKI, Beata\n"
        "Der Beschuldigte Schäffler gab an, er habe die Koslowski nicht gekannt. PHK Dittmer fertigte Lichtbilder. Maik S. wurde belehrt.",
        ("SCHÄFFLER", "Maik", "07.01.1990", "KOSLOWSKI", "Beata", "Schäffler", "Koslowski", "Dittmer"),
        ("gab an, er habe die", "fertigte Lichtbilder", "wurde belehrt"),
    ),
    Case(
        "de-zeugnis",
        "Zeugnis\n"
        "Frau Henrike von der Osten, geboren am 3. April 1985, war vom 1. Januar 2015 bis 31. März 2021 in unserem Unternehmen tätig. Frau von der Osten erledigte ihre Aufgaben stets zu unserer vollsten Zufriedenheit. Ihr Verhalten gegenüber Vorgesetzten war einwandfrei.",
        ("Henrike", "Osten", "3. April 1985"),
        ("stets zu unserer vollsten Zufriedenheit", "war einwandfrei"),
    ),
    Case(
        "de-at",
        "Der Oberste Gerichtshof hat in der Rechtssache der klagenden Partei Mag. Waltraud Hölzl, Graz, vertreten durch Dr. Sepp Moser, Rechtsanwalt in Wien, gegen die beklagte Partei Ing. Leopold Pichler-Stainz wegen 12.400 EUR sA (RIS-Justiz RS0042963; 4 Ob 115/07v) beschlossen: Die Revision wird zurückgewiesen. § 502 Abs 1 ZPO.",
        ("Waltraud", "Hölzl", "Leopold", "Pichler"),
        ("RS0042963", "4 Ob 115/07v", "§ 502 Abs 1 ZPO", "Die Revision wird zurückgewiesen"),
    ),
    Case(
        "de-ch",
        "Sachverhalt: A. Reto Bünzli und Vreni Bünzli-Käser heirateten 1999 in Burgdorf. Sie sind die Eltern von Urs (geb. 2001) und Seraina (geb. 2004). Das Regionalgericht schied die Ehe. Erwägungen: 1.1 Nach Art. 125 ZGB (BGE 134 III 145 E. 4) ist Unterhalt geschuldet.",
        ("Reto", "Bünzli", "Vreni", "Käser", "Urs", "Seraina"),
        ("Art. 125 ZGB", "BGE 134 III 145 E. 4", "heirateten 1999"),
    ),
    Case(
        "de-form",
        "Name, Vorname: Zeidler, Korbinian\n"
        "Geburtsname: Brösel\n"
        "Anschrift: Gänsebühl 12b, 94032 Passau\n"
        "Telefon: 0851 / 99 88 77\n"
        "Kontoinhaber: Zeidler K.\n"
        "Ich versichere die Richtigkeit meiner Angaben.",
        ("Zeidler", "Korbinian", "Brösel", "Gänsebühl", "99 88 77"),
        ("Ich versichere die Richtigkeit meiner Angaben", "Geburtsname"),
    ),
    Case(
        "de-genitive",
        "Die Aussage des Zeugen Wolframs Schwester ist glaubhaft. Das Fahrzeug Heribert Zacharias' wurde beschädigt; Ingeborgs Anspruch folgt aus § 823 Abs. 1 BGB. Der Nachlass der Erblasserin Ingeborg Zacharias ist überschuldet.",
        ("Heribert", "Zacharias", "Ingeborg"),
        ("§ 823 Abs. 1 BGB", "wurde beschädigt", "ist überschuldet"),
    ),
    Case(
        "fr-arret",
        "COUR D'APPEL DE LYON\n"
        "ARRÊT DU 12 MAI 2021\n"
        "APPELANTE :\n"
        "Mme Solène KERVADEC épouse TANGUY\n"
        "née le 3 mars 1974 à Quimper\n"
        "12 rue des Lilas, 69003 LYON\n"
        "INTIMÉ :\n"
        "M. Bastien TANGUY\n"
        "L'arrêt Perruche (Cass. ass. plén., 17 nov. 2000, n° 99-13.701) ne s'applique pas. L'article 1240 du code civil fonde la demande de Mme Kervadec.",
        ("Solène", "KERVADEC", "TANGUY", "Bastien", "Kervadec", "rue des Lilas"),
        ("arrêt Perruche", "n° 99-13.701", "article 1240 du code civil"),
    ),
    Case(
        "fr-adm",
        "Vu la procédure suivante : M. A... B... et Mme Yasmine Cherkaoui ont demandé au tribunal administratif de Lille d'annuler l'arrêté du préfet du Nord. CE, Ass., 28 mai 1954, Barel, n° 28238 ; CE, 19 mai 1933, Benjamin. Article L. 761-1 du code de justice administrative.",
        ("Yasmine", "Cherkaoui"),
        (
            "CE, Ass., 28 mai 1954, Barel",
            "CE, 19 mai 1933, Benjamin",
            "Article L. 761-1 du code de justice administrative",
        ),
    ),
    Case(
        "fr-be",
        "EN CAUSE DE : Monsieur Thierry VANDENBOSSCHE, domicilié à 4000 Liège, rue Saint-Gilles 55, R.N. 65.04.12-123.45\n"
        "CONTRE : la SPRL GARAGE LENOIR\n"
        "Vu l'article 1382 de l'ancien Code civil. Le témoin Ludovic Pirotte déclare avoir vu Thierry à 22 heures.",
        ("Thierry", "VANDENBOSSCHE", "65.04.12-123.45", "Ludovic", "Pirotte"),
        ("l'article 1382 de l'ancien Code civil", "déclare avoir vu"),
    ),
    Case(
        "it-lettera",
        "Gentile dott.ssa Marangoni,\n"
        "come concordato con il Suo collega Ermanno, Le trasmetto la denuncia presentata da mia moglie, Ginevra Lo Cascio, contro il vicino di casa, tale Nunzio. Resto in attesa.\n"
        "Distinti saluti\n"
        "Salvatore Pappalardo",
        ("Marangoni", "Ermanno", "Ginevra", "Cascio", "Nunzio", "Salvatore", "Pappalardo"),
        ("Resto in attesa", "contro il vicino di casa"),
    ),
    Case(
        "es-sent",
        "SENTENCIA nº 214/2021\n"
        "En Zaragoza, a 4 de junio de 2021.\n"
        "Vistos por Dª Remedios Urquijo Belda, Magistrada-Juez, los autos seguidos a instancia de D. Fermín Iribarren Goñi, representado por la Procuradora Sra. Zubiaurre, contra Dña. Covadonga Pardo de Vera. Artículo 1902 del Código Civil; STS 545/2015, de 18 de octubre.",
        ("Fermín", "Iribarren", "Goñi", "Covadonga", "Pardo", "Vera"),
        ("Artículo 1902 del Código Civil", "STS 545/2015, de 18 de octubre"),
    ),
    Case(
        "es-mx",
        'AMPARO DIRECTO 512/2019. QUEJOSA: CITLALI XOCHITL HERNÁNDEZ POOT. TERCERO INTERESADO: EVARISTO CHAN. La quejosa Citlali Hernández manifestó que su concubino, Evaristo, alias "El Tecolote", la agredió. Artículo 1o. de la Constitución Política de los Estados Unidos Mexicanos.',
        (
            "CITLALI",
            "XOCHITL",
            "HERNÁNDEZ",
            "POOT",
            "EVARISTO",
            "CHAN",
            "Citlali",
            "Hernández",
            "Evaristo",
            "Tecolote",
        ),
        ("manifestó que su concubino",),
    ),
    Case(
        "es-ar",
        'Autos: "GIMÉNEZ ZAPIOLA, Bernarda c/ QUISPE MAMANI, Wilmer s/ daños y perjuicios" (Expte. 40.112/2018). La actora Bernarda Giménez Zapiola reclama. El Sr. Quispe opuso excepción. CSJN, Fallos 308:1160. DNI 28.114.902.',
        (
            "GIMÉNEZ",
            "ZAPIOLA",
            "Bernarda",
            "QUISPE",
            "MAMANI",
            "Wilmer",
            "Giménez",
            "Zapiola",
            "Quispe",
            "28.114.902",
        ),
        ("Fallos 308:1160", "opuso excepción"),
    ),
    Case(
        "es-chat",
        "Lupe: ya le dije a Nacho que no firme\n"
        "Chema: ¿y qué dice Doña Eulalia?\n"
        "Lupe: que Nacho es un terco",
        ("Lupe", "Nacho", "Chema", "Eulalia"),
        ("que no firme", "es un terco"),
    ),
    Case(
        "pt-br",
        "PODER JUDICIÁRIO\n"
        "Apelante: Jurandir Teixeira Peçanha\n"
        "Apelado: Banco do Brasil S.A.\n"
        "Advogado: Dr. Wanderley Coutinho (OAB/SP 123.456)\n"
        "Relatora: Des. Iracema Falcão\n"
        "Ementa: A testemunha Josicleide Ramos afirmou que Jurandir assinou. Art. 373, I, do CPC. Súmula 479 do STJ. REsp 1.197.929/PR.",
        ("Jurandir", "Teixeira", "Peçanha", "Josicleide", "Ramos"),
        ("Art. 373, I, do CPC", "Súmula 479 do STJ", "REsp 1.197.929/PR", "afirmou que"),
    ),
    Case(
        "pt-pt",
        "Acordam no Tribunal da Relação de Coimbra:\n"
        "Autora: Deolinda da Purificação Sequeira, residente na Rua do Poço, n.º 8, Viseu. Réu: Hermínio Falcato.\n"
        "A autora Deolinda alega que o réu, seu cunhado, lhe deve € 5.000. Artigo 1142.º do Código Civil.",
        ("Deolinda", "Purificação", "Sequeira", "Rua do Poço", "Hermínio", "Falcato"),
        ("Artigo 1142.º do Código Civil", "lhe deve"),
    ),
    Case(
        "nl-vonnis",
        "RECHTBANK GELDERLAND\n"
        "in de zaak van\n"
        "Geertruida Hendrika van 't Hof, wonende te Ede, eiseres, advocaat mr. B.J. Schimmel,\n"
        "tegen\n"
        "Sjoerd de Jong Postma, gedaagde.\n"
        "Van 't Hof stelt dat De Jong Postma haar heeft bedreigd. Artikel 6:162 BW. ECLI:NL:HR:2019:1278. Getuige Fatima el Idrissi bevestigt dit.",
        ("Geertruida", "Hendrika", "Hof,", "Sjoerd", "Jong", "Postma", "Fatima", "Idrissi"),
        ("Artikel 6:162 BW", "ECLI:NL:HR:2019:1278", "heeft bedreigd"),
    ),
    Case(
        "nl-brief",
        "Geachte heer Van der Zwaluw,\n"
        "Hierbij zeg ik namens mijn cliënte, mevr. Annemiek Huisman-Blok, de huurovereenkomst op. De sleutels liggen bij buurman Cor. Haar dochter Fleur komt zaterdag langs.\n"
        "Hoogachtend,\n"
        "mr. T. Oosterwijk",
        ("Zwaluw", "Annemiek", "Huisman", "Blok", "Cor", "Fleur", "Oosterwijk"),
        ("de huurovereenkomst op", "komt zaterdag langs"),
    ),
    Case(
        "pl-wyrok",
        "Sygn. akt I C 1184/20\n"
        "WYROK W IMIENIU RZECZYPOSPOLITEJ POLSKIEJ\n"
        "Sąd Rejonowy w Tarnowie po rozpoznaniu sprawy z powództwa Bogumiły Wierzbickiej-Sroki przeciwko Zdzisławowi Kędziorowi o zapłatę oddala powództwo. Powódka Bogumiła Wierzbicka-Sroka zeznała, że pozwany Kędzior nie oddał pożyczki. Art. 720 § 1 k.c.",
        ("Bogumił", "Wierzbick", "Sroka", "Zdzisław", "Kędzior"),
        ("Art. 720 § 1 k.c.", "nie oddał pożyczki"),
    ),
    Case(
        "sr-presuda",
        "OSNOVNI SUD U NOVOM SADU\n"
        "u pravnoj stvari tužilje Ljubinke Vidaković iz Sremske Kamenice, protiv tuženog Ranka Šijana, radi naknade štete. Svedok Dragana Popadić je izjavila da je Ranko vozio. Punomoćnik tužilje Ljubinke Vidaković je adv. Nemanja Krstić. Član 154. Zakona o obligacionim odnosima.",
        ("Ljubink", "Vidaković", "Rank", "Šijan", "Dragan", "Popadić"),
        ("Član 154. Zakona o obligacionim odnosima",),
    ),
    Case(
        "sr-cyr",
        "ВИШИ СУД У НИШУ. Окривљени Слободан Ђурђевић из Лесковца крив је. Оштећеној Радмили Станојевић нанета је повреда. Сведок Живојин Пешић изјавио је да је видео Слободана. Члан 121. Кривичног законика.",
        ("Слободан", "Ђурђевић", "Радмил", "Станојевић", "Живојин", "Пешић"),
        ("Члан 121. Кривичног законика", "изјавио је да је видео"),
    ),
    Case(
        "hr-rjesenje",
        "OPĆINSKI GRAĐANSKI SUD U ZAGREBU\n"
        "u ostavinskom predmetu iza pok. Zvonimira Jelačića, OIB: 12345678903, dana 3. ožujka 2022. riješio je: nasljednica je kći Mirna Jelačić Botica. Vjerovnik Tihomir Vuković potražuje 4.000 kn. Supruga Zvonimira, Slavica, odrekla se nasljedstva. Članak 8. Zakona o nasljeđivanju.",
        ("Zvonimir", "Jelačić", "12345678903", "Mirna", "Botica", "Tihomir", "Vuković", "Slavic"),
        ("odrekla se nasljedstva", "Zakona o nasljeđivanju"),
    ),
    Case(
        "cs-rozsudek",
        "Okresní soud v Olomouci rozhodl ve věci žalobkyně: Božena Hrubá, narozená 4. 5. 1958, bytem Lipová 12, 779 00 Olomouc, proti žalovanému: Přemysl Vondráček, o zaplacení 50 000 Kč. Svědkyně Libuše Hrubá uvedla, že Přemysl Vondráček slíbil peníze vrátit. Podle § 2390 zákona č. 89/2012 Sb.",
        ("Božena", "Hrubá", "Lipová 12", "Přemysl", "Vondráček", "Libuše"),
        ("uvedla, že", "§ 2390 zákona č. 89/2012 Sb."),
    ),
    Case(
        "en-quotes",
        'The witness said: “I saw Gaël hit Priscilla.” When asked about ‘Big Mo’, he said that Mo—real name Mohamud Warsame—was not there. "It was not Wes," he added. Wes\' alibi was checked.',
        ("Gaël", "Priscilla", "Mo", "Mohamud", "Warsame", "Wes"),
        ("The witness said", "alibi was checked"),
    ),
    Case(
        "en-child",
        "The children, Kayden (b. 2012), Skye (b. 2014) and baby Ezra, live with their mother, L. T, Trevelyan-Moss, the father, opposes contact. The guardian ad litem says that Skye is afraid. Under s.1(3) Children Act 1989 their welfare is paramount.",
        ("Kayden", "Skye", "Ezra", "Trevelyan"),
        ("s.1(3) Children Act 1989", "opposes contact"),
    ),
    Case(
        "en-asylum",
        "The appellant, Tesfaye Gebremariam Woldu, is a national of Eritrea born on 1 January 1996. His uncle Haile was detained at Eiraeiro. He relies on the expert report of Professor Kjetil. See MST and Others (national service) Eritrea CG [2016] UKUT 443 (IAC). Miss O. Ladipo-Hall for the appellant.",
        ("Tesfaye", "Gebremariam", "Woldu", "Haile", "Kjetil"),
        ("[2016] UKUT 443 (IAC)", "national service"),
    ),
    Case(
        "en-eml-thread",
        "On Tue, 4 Jan 2022 at 09:31, Anouk Desrosiers <anouk.d@lex.example> wrote:\n"
        "> Hi Ferdinand,\n"
        "> Per Zeynep's comments, clause 8 goes.\n"
        ">\n"
        "> Anouk\n"
        "Thanks A. - I told Zeynep we keep clause 8. F.",
        ("Anouk", "Desrosiers", "anouk", "Ferdinand", "Zeynep"),
        ("clause 8 goes", "we keep clause 8"),
    ),
    Case(
        "en-jury",
        "VERDICT FORM\n"
        "We, the jury, find the defendant, Jamarcus D'Angelo Fitch, NOT GUILTY of Count One.\n"
        "Foreperson: B. Rasmussen-Lee\n"
        "Juror No. 7 (Ms. Ott) was excused. Miranda warnings were given. A Terry stop is lawful. Brady material was disclosed.",
        ("Jamarcus", "Angelo", "Fitch", "Rasmussen", "Ott"),
        (
            "NOT GUILTY of Count One",
            "Miranda warnings were given",
            "Terry stop is lawful",
            "Brady material was disclosed",
        ),
    ),
    Case(
        "en-eulaw",
        "According to Case C-131/12 Google Spain, the Schrems II judgment and the Bosman ruling, the applicant, Ms Kirsi Lahtinen-Aho, may rely on Article 45 TFEU. Advocate General Kokott proposed otherwise. See also Opinion in Case C-34/09 Ruiz Zambrano.",
        ("Kirsi", "Lahtinen", "Aho"),
        (
            "Case C-131/12 Google Spain",
            "Schrems II",
            "Bosman ruling",
            "Article 45 TFEU",
            "C-34/09 Ruiz Zambrano",
        ),
    ),
    Case(
        "en-ecthr",
        "In Al-Skeini and Others v. the United Kingdom [GC], no. 55721/07, § 131, the Court held so. The applicant's cousin, Mr Giorgi Kvirikashvili, was beaten by officers D. and T. on 3 May 2009 at Gldani prison. His lawyer, Ms L. Mukhtarova, complained.",
        ("Giorgi", "Kvirikashvili"),
        ("Al-Skeini and Others v. the United Kingdom [GC], no. 55721/07", "was beaten by"),
    ),
    Case(
        "en-speakers",
        "THE CHAIR: We resume.\n"
        "DR OBASANJO-WRIGHT: The tumour was visible.\n"
        "MR TREMLETT: Did you tell Mrs Ilse Kappel?\n"
        "DR OBASANJO-WRIGHT: I told Kappel and her son Bruno.\n"
        "THE CHAIR: Thank you.",
        ("OBASANJO", "TREMLETT", "Ilse", "Kappel", "Bruno"),
        ("THE CHAIR: We resume", "The tumour was visible"),
    ),
    Case(
        "en-linebreak",
        "The option was granted by Mrs Philomena\n"
        "Castellanos-Whyte to her son-in-law, Alistair Mac-\n"
        "Kenzie Burr, on the terms below. Castellanos-\n"
        "Whyte later revoked it.",
        ("Philomena", "Castellanos", "Alistair", "Burr", "Kenzie"),
        ("The option was granted by", "on the terms below"),
    ),
    Case(
        "en-file",
        "Attached: Statement_Greta_Vasquez_signed.pdf; 2021-03-02 Letter to Odhran Quigg.docx; exhibit-7.png; scan0001.pdf\n"
        "Please mark them as Exhibit GV1.",
        ("Greta", "Vasquez", "Odhran", "Quigg"),
        ("exhibit-7.png", "scan0001.pdf", "Please mark them as Exhibit"),
    ),
    Case(
        "en-landlord",
        "NOTICE REQUIRING POSSESSION (Form 6A)\n"
        "1. To: Mihaela Stoica and Radu Stoica\n"
        "2. You are required to leave the premises at 44B Gasworks Row, Nuneaton CV11 0ZZ after 1 May 2023.\n"
        "3. Name of landlord: Persimmon Dass\n"
        "Capacity: landlord\n"
        "Section 21 Housing Act 1988",
        ("Mihaela", "Stoica", "Radu", "44B Gasworks", "Persimmon", "Dass"),
        ("Section 21 Housing Act 1988", "You are required to leave the premises"),
    ),
    Case(
        "en-arb",
        "IN THE MATTER OF AN ARBITRATION UNDER THE LCIA RULES\n"
        "Tribunal: Prof. Ulrike Feddersen (Chair), Sir Desmond Achebe-Pryce, Dr Hernán Quiroga\n"
        "Claimant's witness Temur Ergashev says in his first statement (CWS-1, para 14) that Mr. Yoon Seok-jin paid. Respondent's counsel cross-examined Mr Yoon.",
        ("Temur", "Ergashev", "Yoon", "Seok"),
        ("in his first statement", "cross-examined"),
    ),
    Case(
        "en-pronounce",
        "Mr Peter Hope and Ms Joy Church met Dr Christian Price, Ms May West and Mr Young. The price was fair; the young couple hoped to go west in May. Mr Justice ordered hope to be abandoned. Hope denied this; Price agreed.",
        ("Peter", "Joy", "Christian"),
        ("The price was fair", "the young couple", "go west in"),
    ),
    Case(
        "de-lit",
        "So auch Palandt/Grüneberg, BGB, § 280 Rn. 4; MüKoBGB/Ernst, 8. Aufl., § 323 Rn. 12; Canaris, JZ 2001, 499; Larenz, Schuldrecht AT, S. 22; a.A. Medicus/Petersen, Bürgerliches Recht, Rn. 240. Der Kläger Cengiz Yalçın folgt dem nicht.",
        ("Cengiz", "Yalçın"),
        (
            "Palandt/Grüneberg, BGB, § 280 Rn. 4",
            "MüKoBGB/Ernst",
            "Canaris, JZ 2001, 499",
            "Larenz, Schuldrecht AT",
            "Medicus/Petersen",
        ),
    ),
    Case(
        "fr-chat",
        "Loulou : t'as vu le contrat ?\n"
        "Jean-Phi : ouais, Mathilde l'a signé hier\n"
        "Loulou : et la mère Poirier ?\n"
        "Jean-Phi : elle refuse",
        ("Loulou", "Phi", "Mathilde", "Poirier"),
        ("l'a signé hier", "elle refuse"),
    ),
    Case(
        "it-verbale",
        "VERBALE DI ASSEMBLEA CONDOMINIALE\n"
        "Presenti: Zanella Ivo (mill. 120), Bortolotti Marisa (mill. 98), eredi Scarpa\n"
        "Il sig. Zanella chiede la parola. La sig.ra Marisa propone di revocare l'amministratore geom. Tullio Pedrazzoli. Art. 1136 c.c.",
        ("Zanella", "Ivo", "Bortolotti", "Marisa", "Scarpa", "Tullio", "Pedrazzoli"),
        ("Art. 1136 c.c.", "chiede la parola"),
    ),
    Case(
        "en-pseud",
        'The complainant ("Ms A") told her friend B that Father Aloysius Crotty of St Brendan\'s had visited. Sister Immaculata and Brother Declan knew. Bishop Fergal Tierney was informed in 1994. Imam Yusuf al-Karadi and Rabbi Shlomo Perlmutter gave character evidence.',
        (
            "Aloysius",
            "Crotty",
            "Immaculata",
            "Declan",
            "Fergal",
            "Tierney",
            "Yusuf",
            "Karadi",
            "Shlomo",
            "Perlmutter",
        ),
        ("was informed in", "gave character evidence"),
    ),
    Case(
        "r2-minutes",
        "Board minutes, 9 June 2020\n"
        "In attendance: Isolde Penrose [IP] (chair); Mr Hamza Qureshi-Dean [HQ]; Vernon Tully [VT]\n"
        "IP welcomed all. HQ tabled the accounts; VT queried note 4.\n"
        "AP: HQ to revert to VT. IP closed the meeting.",
        ("Isolde", "Penrose", "Hamza", "Qureshi", "Vernon", "Tully"),
        ("welcomed all", "tabled the accounts", "queried note 4", "closed the meeting"),
    ),
    Case(
        "r2-books",
        "As stated in Keane, The Modern Law of Evidence, p 34, in Kerr on Receivers, and in Spencer Bower: Reliance-Based Estoppel; Dicey, Morris & Collins on the Conflict of Laws, rule 26; Gatley on Libel and Slander; Bullen & Leake & Jacob's Precedents of Pleadings. Mr Ossian Trebilcock took no point on this.",
        ("Ossian", "Trebilcock"),
        (
            "Kerr on Receivers",
            "Spencer Bower",
            "Dicey, Morris & Collins on the Conflict of Laws",
            "Gatley on Libel and Slander",
        ),
    ),
    Case(
        "r2-lords",
        "Lord Diplock in GCHQ and Lord Wilberforce in Anns both used the phrase; so did Lady Hale in Cheshire West and Baroness Hale in Yemshaw. In Donoghue the snail was decisive; in Hedley Byrne, the disclaimer. Miss Araminta Skelhorn relies on neither.",
        ("Araminta", "Skelhorn"),
        ("in GCHQ", "in Anns", "in Cheshire West", "in Yemshaw", "In Donoghue the snail", "in Hedley Byrne"),
    ),
    Case(
        "r2-usrules",
        "See Cal. Code Civ. Proc. § 425.16; Tex. R. Civ. P. 91a.1; Fla. Stat. 768.28(9)(a); In re Marriage of Dunmore, 83 Cal. App. 4th 1; Matter of Ruiz v. Selsky, 2021 NY Slip Op 01234; Estate of Pryce, 12 N.J. 44. Defendant Ludmilla Orzech lives at 402 Fig Street.",
        ("Ludmilla", "Orzech", "402 Fig"),
        (
            "Cal. Code Civ. Proc. § 425.16",
            "Tex. R. Civ. P. 91a.1",
            "Fla. Stat. 768.28(9)(a)",
            "In re Marriage of Dunmore, 83 Cal. App. 4th 1",
            "Matter of Ruiz v. Selsky",
            "Estate of Pryce, 12 N.J. 44",
        ),
    ),
    Case(
        "r2-ukrules",
        "Under CPR 26.8(1)(h), CPR PD 51U para 6.3, FPR 2010 r 25.2, CrimPR 3.5, ET Rules r. 37(1)(a) and CCA 1974 s.140A the court may act. Defendant Jethro Nokes did not file.",
        ("Jethro", "Nokes"),
        (
            "CPR 26.8(1)(h)",
            "CPR PD 51U para 6.3",
            "FPR 2010 r 25.2",
            "CrimPR 3.5",
            "ET Rules r. 37(1)(a)",
            "CCA 1974 s.140A",
        ),
    ),
    Case(
        "r2-alias",
        'This concerns Marguerite Sellick ("MS") and her daughter Phoebe Sellick (known in these proceedings as "PS"). MS was refused housing. The Council says MS made herself homeless when PS left.',
        ("Marguerite", "Sellick", "Phoebe"),
        ("was refused housing", "made herself homeless"),
    ),
    Case(
        "r2-hr",
        "To: All staff, Leeds depot\n"
        "From: Maggie (HR)\n"
        "Please join us in saying goodbye to Bogdan, who leaves after nine years. Collection envelope with Tosin at reception. Leaving do organised by Priti and Big Steve.",
        ("Maggie", "Bogdan", "Tosin", "Priti", "Steve"),
        ("Please join us in saying goodbye", "Collection envelope"),
    ),
    Case(
        "r2-table",
        "Claimant	Dependant	Amount\n"
        "Agbaje, Folarin\tBisi\t£4,000\n"
        "de Souza, Iolanda\tCaetano\t£2,150\n"
        "Trần Thị Hạnh\t-\t£900\n"
        "St. Clair-Moody, P.\tWren\t£120",
        ("Agbaje", "Folarin", "Bisi", "Souza", "Iolanda", "Caetano", "Hạnh", "Moody", "Wren"),
        ("Claimant", "Dependant", "Amount"),
    ),
    Case(
        "r2-ie-coroner",
        "An inquest into the death of baby Cillian Furlong-Dowd heard that midwife Treasa Nic Giolla Phádraig called Dr Ó Súilleabháin at 4 a.m. The coroner, Mr Brehony, returned a verdict of medical misadventure under the Coroners Act 1962.",
        ("Cillian", "Furlong", "Dowd", "Treasa", "Phádraig", "Súilleabháin"),
        ("returned a verdict of medical misadventure", "Coroners Act 1962"),
    ),
    Case(
        "r2-de-whatsapp",
        "12.05.21, 18:03 - Steffi: Hat der Typ vom Jobcenter angerufen?\n"
        "12.05.21, 18:04 - Papa: Ja, ein Herr Lüttich\n"
        "12.05.21, 18:05 - Steffi: und was sagt Opa Willi dazu\n"
        "12.05.21, 18:09 - Papa: Willi ist sauer auf Ronny",
        ("Steffi", "Lüttich", "Willi", "Ronny"),
        ("Hat der Typ vom Jobcenter angerufen", "ist sauer auf"),
    ),
    Case(
        "r2-de-marken",
        "Vgl. BGH, Urteil vom 12. Januar 2017 – I ZR 253/14, GRUR 2017, 397 Rn. 32 – World of Warcraft II; BGH GRUR 2002, 167, 170 – Bit/Bud; BGH, GRUR 2009, 672 Rn. 41 - OSTSEE-POST; WRP 2015, 1098 – Hohe Düne. Der Inhaber Torben Maschke widersprach.",
        ("Torben", "Maschke"),
        ("World of Warcraft II", "Bit/Bud", "OSTSEE-POST", "Hohe Düne"),
    ),
    Case(
        "r2-de-rubrum2",
        "Landgericht Kleve\n"
        "IM NAMEN DES VOLKES\n"
        "Urteil\n"
        "In der Strafsache\n"
        "g e g e n\n"
        "1. den Dachdecker Giuseppe Caruso-Brandt, geboren am 11.1.1970 in Moers, wohnhaft Ringstr. 5, 47441 Moers,\n"
        "2. die Hausfrau Swetlana Brandt geb. Iwanowa,\n"
        "w e g e n Betruges\n"
        "hat die 3. große Strafkammer für Recht erkannt: Der Angeklagte Caruso-Brandt wird freigesprochen.",
        ("Giuseppe", "Caruso", "Brandt", "11.1.1970", "Ringstr", "Swetlana", "Iwanowa"),
        ("für Recht erkannt", "wird freigesprochen", "den Dachdecker"),
    ),
    Case(
        "r2-de-jugend",
        "Hilfeplan\n"
        "Kind: Leandro, geb. 2013; Geschwister: Zoë (8), Mats (5)\n"
        "KM: Fr. Bianca Sprenger; KV: unbekannt\n"
        "Bezugsbetreuer: Hr. Okafor\n"
        "Leandro berichtet, dass Mats oft weine. Die KM sagt, Zoë schlafe schlecht.",
        ("Leandro", "Zoë", "Mats", "Bianca", "Sprenger", "Okafor"),
        ("schlafe schlecht", "oft weine"),
    ),
    Case(
        "r2-de-ch",
        "Das Bundesgericht zieht in Erwägung: A. a) Beat Zgraggen, von Altdorf, fuhr am 2. Juli 2019 mit seinem Traktor. Beim Beschwerdeführer Zgraggen wurde eine BAK von 1,2 Promille gemessen. Sein Kollege Köbi Arnold bestätigt dies. Art. 91 SVG; Urteil 6B_420/2020 vom 9. März 2021.",
        ("Beat Zgraggen", "Zgraggen", "Köbi"),
        ("Art. 91 SVG", "6B_420/2020 vom 9. März 2021", "eine BAK von"),
    ),
    Case(
        "r2-fr-liste",
        "LISTE DES SALARIÉS CONCERNÉS\n"
        "1. BENSOUSSAN Élodie, comptable\n"
        "2. Mac Gregor Ronan, cariste\n"
        "3. DE OLIVEIRA Joaquim\n"
        "4. Kowalczyk Anne-Sophie\n"
        "5. L'HOSTIS Gwenaël",
        (
            "BENSOUSSAN",
            "Élodie",
            "Gregor",
            "Ronan",
            "OLIVEIRA",
            "Joaquim",
            "Kowalczyk",
            "Sophie",
            "HOSTIS",
            "Gwenaël",
        ),
        ("comptable", "cariste"),
    ),
    Case(
        "r2-fr-jp",
        "La jurisprudence Blanco, l'arrêt Nikolo, l'arrêt Costedoat (Cass. ass. plén., 25 févr. 2000, n° 97-17.378), la décision Société Arcelor et l'arrêt Czabaj gouvernent l'espèce. Le salarié, M. Youssouf Traoré-Lemaire, n'a pas répondu.",
        ("Youssouf", "Traoré", "Lemaire"),
        ("jurisprudence Blanco", "arrêt Nikolo", "arrêt Costedoat", "arrêt Czabaj"),
    ),
    Case(
        "r2-fr-divorce",
        "Jugement de divorce. Entre Sandrine, Marie, Paule FOURCADE, de nationalité française, et Rachid AÏT MESSAOUD, chauffeur. Les enfants Ilyès, né le 2 avril 2012, et Lina résideront chez la mère. Me Gaspard Vuillemin, avocat. Article 373-2-9 du code civil.",
        ("Sandrine", "FOURCADE", "Rachid", "MESSAOUD", "Ilyès", "Lina"),
        ("Article 373-2-9 du code civil", "résideront chez la mère"),
    ),
    Case(
        "r2-it-querela",
        "Il sottoscritto Tarcisio D'Alò, nato a Taranto il 2.2.1966, residente in via Duca d'Aosta 14, espone: il giorno 4 agosto il vicino, Cosimo, insieme al cognato Mimmo Ruta, mi minacciava. Ne è testimone mia figlia Noemi. Chiedo la punizione ai sensi dell'art. 612 c.p.",
        ("Tarcisio", "Alò", "via Duca", "Cosimo", "Mimmo", "Ruta", "Noemi"),
        ("art. 612 c.p.", "mi minacciava"),
    ),
    Case(
        "r2-it-elenco",
        "Elenco creditori\n"
        "ABBATANGELO Rosaria - € 3.000\n"
        "DI FRANCESCO Loris - € 1.200\n"
        "Lo Presti Calogero - € 800\n"
        "eredi di MASTROPIETRO Vito",
        ("ABBATANGELO", "Rosaria", "FRANCESCO", "Loris", "Presti", "Calogero", "MASTROPIETRO", "Vito"),
        ("Elenco creditori",),
    ),
    Case(
        "r2-es-acta",
        "ACTA DE LA JUNTA DE PROPIETARIOS\n"
        "Asistentes: 1º A, Dª Milagros Echenique; 2º B, Familia Rocamora; bajo, Aurelio Pons (representado por su hijo Jacobo).\n"
        "Toma la palabra Aurelio. La Sra. Echenique vota en contra. Ley 49/1960, de Propiedad Horizontal.",
        ("Milagros", "Echenique", "Rocamora", "Aurelio", "Pons", "Jacobo"),
        ("Toma la palabra", "vota en contra", "Ley 49/1960"),
    ),
    Case(
        "r2-es-denuncia",
        "DENUNCIANTE: IBARGUREN LASA, NEREA, DNI 72.334.118-K\n"
        'DENUNCIADO: un tal "Rubio", identificado como Oier Garmendia\n'
        "HECHOS: Que Oier, expareja de la denunciante, llamó a la puerta. Que la vecina, Maite, oyó gritos.",
        ("IBARGUREN", "LASA", "NEREA", "72.334.118", "Rubio", "Oier", "Garmendia", "Maite"),
        ("llamó a la puerta", "oyó gritos"),
    ),
    Case(
        "r2-mx",
        'Ante mí, Lic. Gumersindo Ávalos, Notario Público, comparecen los señores MARÍA DE LOS ÁNGELES TZUC y JOSÉ GUADALUPE "LUPE" CANCHÉ EK. Artículo 2546 del Código Civil. El albacea será su compadre Eleuterio.',
        ("ÁNGELES", "TZUC", "GUADALUPE", "LUPE", "CANCHÉ", "Eleuterio"),
        ("Código Civil", "comparecen los señores"),
    ),
    Case(
        "r2-pt-br2",
        "Reclamante: ROSICLEIDE DO NASCIMENTO\n"
        "Reclamada: PADARIA PÃO QUENTE LTDA.\n"
        "A reclamante foi admitida em 02/01/2015. O preposto, Sr. Adalgiso, confessou. A testemunha Uóston Silveira disse que a gerente Dalva gritava. Art. 483 da CLT.",
        ("ROSICLEIDE", "NASCIMENTO", "Adalgiso", "Uóston", "Silveira", "Dalva"),
        ("Art. 483 da CLT", "foi admitida em"),
    ),
    Case(
        "r2-nl-pv",
        "PROCES-VERBAAL VAN VERHOOR\n"
        "Verdachte: EL KHATTABI, Soufiane, geb. 01-02-1999\n"
        "Ik, verbalisant R. Hoekstra, hoorde de verdachte. V: Wie is Appie? A: Dat is Abdel, mijn neef. Tante Sjaan was thuis.",
        ("KHATTABI", "Soufiane", "01-02-1999", "Hoekstra", "Appie", "Abdel", "Sjaan"),
        ("hoorde de verdachte", "was thuis"),
    ),
    Case(
        "r2-nl-be",
        "Inzake: de heer VERSTRAETEN Guido, wonende te 9000 Gent, Kouter 8, eiser, vertegenwoordigd door Mr. Sofie Claes, tegen mevrouw PEETERS Lieve. De rechtbank stelt vast dat Lieve Peeters niet verschijnt. Art. 1382 BW.",
        ("VERSTRAETEN", "Guido", "Kouter", "PEETERS", "Lieve", "Peeters"),
        ("niet verschijnt", "Art. 1382 BW"),
    ),
    Case(
        "r2-pl-protokol",
        "PROTOKÓŁ PRZESŁUCHANIA ŚWIADKA\n"
        "Imię i nazwisko: Jadwiga Kołodziejska-Mróz\n"
        "Zeznaję: Znam Waldka i jego brata Lucjana. Waldemar Pyrek pożyczył od Kołodziejskiej pieniądze. Nie widziałam Lucjana Pyrka od maja. Art. 286 § 1 k.k.",
        ("Jadwig", "Kołodziejsk", "Mróz", "Wald", "Lucjan", "Pyr"),
        ("Art. 286 § 1 k.k.", "od maja"),
    ),
    Case(
        "r2-sr-cases",
        "Tužilac Miroljub Stanković tvrdi da je tuženom Predragu Đokiću pozajmio novac. Sa Predragom je razgovarao svedok Uroš. Prema iskazu Uroša, Đokić je novac primio od Miroljuba. Punomoćnici su potvrdili. Stankoviću pripada kamata po članu 277. ZOO.",
        ("Miroljub", "Stankovi", "Predrag", "Đoki", "Uroš"),
        ("članu 277. ZOO", "novac primio"),
    ),
    Case(
        "r2-hr-cases",
        "Oštećena Dubravka Horvatinčić dala je iskaz protiv okrivljenika Ive Bilića. Ivo je, prema riječima Dubravke, udario Marka. S Dubravkom Horvatinčić živi kći Lana. Okrivljeniku Bilići nije suđeno. Članak 117. Kaznenog zakona.",
        ("Dubravk", "Horvatinčić", "Ive ", "Ivo ", "Bilić", "Mark", "Lana"),
        ("Kaznenog zakona", "nije suđeno"),
    ),
    Case(
        "r2-cs",
        "Protokol o hlavním líčení\n"
        "Obžalovaný Zbyněk Hlaváč uvedl, že Jarmilu Novotnou neznal. Svědek Ctirad Novotný vypověděl, že se Zbyňkem Hlaváčem pracoval. Předsedkyně senátu: Mgr. Ilona Vaňková. § 209 trestního zákoníku.",
        ("Zbyn", "Hlaváč", "Jarmil", "Novotn", "Ctirad"),
        ("§ 209 trestního zákoníku", "neznal"),
    ),
    Case(
        "r2-common",
        "Summer Rains and Hunter Frost own the flat. The summer rains caused frost damage. Hunter complained; Summer did not. Dawn Shepherd inspected it at dawn. Ms Shepherd found mould.",
        ("Hunter", "Dawn", "Shepherd"),
        ("caused frost damage", "found mould", "at dawn"),
    ),
    Case(
        "r2-crim-list",
        "Crown Court list - Court 4\n"
        "10.00 T20217044 BAPTISTE Leroy / OGUNLEYE Kehinde  - Trial (part heard)\n"
        "10.30 A20210012 SMYTHE-HOWARD Rupert - Appeal\n"
        "14.00 S20217199 NGUYEN Thi Mai - Sentence (s 236 Sentencing Act 2020)",
        ("BAPTISTE", "Leroy", "OGUNLEYE", "Kehinde", "SMYTHE", "HOWARD", "Rupert", "NGUYEN", "Mai"),
        ("Trial (part heard)", "s 236 Sentencing Act 2020"),
    ),
)


@cache
def mask_all(preset: Preset) -> dict[str, str]:
    """Return the masked text of each case."""
    masked = mask_texts(
        [case.text for case in CASES], MaskSettings(preset=preset, detector="light"), b"k" * 32
    )
    return {case.name: one.text for case, one in zip(CASES, masked, strict=True)}


@pytest.mark.parametrize("preset", ["strict", "balanced", "court-publication"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_people_are_gone_and_the_law_stays(case: Case, preset: Preset) -> None:
    masked = mask_all(preset)[case.name]
    assert not [name for name in case.gone if re.search(rf"(?<!\w){re.escape(name)}", masked)]
    assert not [words for words in case.kept if words not in masked]
