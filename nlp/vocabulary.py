# ruff: noqa: E501, SIM905  -- lists of words
"""Lists of words: capitalized words of legal drafting, jurisdictions, legal forms, titles, Chinese surnames."""

from __future__ import annotations

# Words that are capitalized in judgments and contracts but do not name anybody by themselves.
LEGAL_WORDS: frozenset[str] = frozenset(
    """
    accordingly acknowledgment acquisition act action acts addendum additional additionally affidavit affiliate
    affiliates after agency agent agents agreement agreements all also although amendment amendments an and annex any
    appeal appeals appellant appellants appellate appellee appendix applicable applicant applicants application
    april arbitration arbitrator article articles as assembly assets assignee assignment assignor association assize
    assumption at attachment attorney attorneys august authority authorities award bank bankruptcy base because
    before board bond bonds borrower borrowers branch breach business but buyer bylaws by cabinet calendar cantonal
    capital case cause central certificate chairman chairperson chamber chancery chapter charter chief child
    circuit city civil claim claimant claimants claims clause client closing code collateral commencement commercial
    commission commissioner committee common commonwealth communications company competent complainant complaint
    compensation condition conditions conduct confidential confidentiality consent constitution constitutional
    construction consultant contract contractor contracting contracts control convention copyright corporate
    corporation council counsel counterclaim counterparty county court courts covenant covenants credit creditor
    criminal crown customer damages date dated day days december decision declaration decree deed default defence
    defendant defendants defense definitions delivery department deputy development disclosure discovery dispute
    disclosing distributor district division doctor document documents draft due during each effective either
    employee employees employer employment entire equity escrow estate euro european event evidence except exchange
    execution executive exhibit exhibits expert expiration facility federal fee fees february final finance financial
    first for force foreign form formal founder franchise franchisee franchisor friday from fund further general good
    goods governing government governor grand grant grantee grantor guarantor guaranty guarantee he hearing hereby
    herein high higher him his holder house however human identification
    if immigration in indemnification indemnitee indemnity
    information initial injunction inspector instance insurance insured insurer intellectual interest
    international interpretation invoice it its january joint judge judges judgment judicial july june jurisdiction
    jury justice justices king labour land landlord law laws lawyer lease leased lender lenders lessee lessor letter
    liability license licensed licensee licensor lien limitation limited loan local manager marketing master material
    may member members memorandum merger military minister ministry miscellaneous monday moreover mortgage
    motion municipal municipality my national neither no non note notes notice notices notwithstanding november
    obligations obligor october of offer office officer officers on operating operator opinion option or order
    ordinary other our outsourcing owner paragraph parent part parties partner partners party patent patents payee
    payment penal per performance period permitted person personal personnel petition petitioner petitioners
    plaintiff plaintiffs plan pledge pledgor police policy preliminary premises president price prime principal
    privacy procedure procedural proceedings product products prison prosecution prosecutor provider provincial
    public purchase purchaser purposes queen quarter rate receiver receiving recipient recital recitals record
    referee regional register registrar registry regulation regulations rent rental representative
    representations representative republic request required reseller respondent respondents review right rights
    royal royalty rule rules safety sale sales saturday schedule second secretary section sections secured
    securities security seller senate senior september service services settlement share shareholder shareholders
    shares she signature since site software sole solicitor special specifications state statement states statute
    statutory stock sub subject sublicense subordinate subsidiary subsidiaries such summary sunday supplement
    supplemental supplier supply supreme surety surrogate survival system taxes tax taxation technical technology
    tenant term termination terms territory that the their then there thereafter therefore therein these they third this those
    thursday title to tort trade trademark trademarks transaction transfer transferee treasurer treasury treaty
    trial tribunal trust trustee trustees tuesday under union united unless upon user vendor venue vice void waiver
    warrant warranties warranty we wednesday when where whereas while will with within without witness witnesses
    work works year years you your facts procedure law circumstances background admissibility merits reasons
    alleged violation held holds declares dismisses concerning nos see cf ibid mr mrs ms dr sir lord lady hon
    plc inc llc ltd llp corp exhibitor monitor quality product web website internet online server network data
    audit auditor budget cash day-to-day gross net sum amount total copy page table contents index preamble
    introduction conclusion background title name address telephone phone fax email attention attn re cc by its
    signed printed print witnessed notary seal dated january mailing copies advance prior present past future
    new old north south east west northern southern eastern western
    fourth fifth sixth seventh eighth ninth tenth grand plenary fundamental freedoms human protection basic
    offering offerings prospectus conversion indemnified indemnifying regulatory filings filing deliverables know-how
    know how sublicensee sublicensees subcontractor subcontractors marks mark field study studies clinical drug drugs
    compound compounds venture venturer venturers manufacture manufacturer manufacturing commercialize commercialization
    registration subscription subscribers subscriber equipment resources governmental approval approvals reg number app
    applications discloser entities entity royalties copyright copyrights project projects program programs programme
    research designee designees licenses licensees licensors licensing structured payments maintenance completion subsection
    shipper shippers transporter center centre club indication indications pharmaceutical pharmaceuticals antibody
    antibodies plasma source sources controlled controlling control exclusive diligent efforts effort territories
    principal investigator investigators package packages free writing writings issuer issuers issued reorganization
    additional stock community syndicated selected dealers dealer broker brokers remedies remedy loss losses blue sky
    time times third renewable proportionate annual minimum guarantee combination collaboration know sponsor sponsors
    sponsorship domain names elements element provided substance substances releasing derived content contents media
    advertising advertisement platform users customer customers client clients materials proprietary trade secret secrets
    development developed develop commercially reasonable best default defaults breaches insolvency bankruptcy force
    majeure acts god severability counterparts entire waiver waivers amendment assignment assignments governing notices
    successors assigns indemnifications warranties representations limitation limitations damages dispute resolution
    arbitrations confidentiality disclosures nondisclosure survival terminations closing closings purchaser purchasers
    purchase price prices shares share units unit preferred series class option options warrants restricted incentive
    compensation benefits benefit bonus salary vesting cause reason disability death retirement severance employees
    effectiveness inventory invoices orders delivery deliveries shipment shipments specification acceptance inspection
    testing defects defect recall recalls facility facilities plant site sites premises building buildings lot lots
    parking common areas area operating expenses rent rents deposit improvements alterations repairs utilities
    environmental hazardous condemnation casualty subordination estoppel quiet enjoyment holdover sublease subleases
    brief briefs exhibit exhibits memoranda memorandum hearing hearings trial trials pretrial discovery deposition
    depositions interrogatories affidavits affirmation stipulation stipulations injunctive relief verdict sentencing
    indictment arraignment bail probation parole custody visitation divorce marriage adoption guardianship probate
    will wills trust trusts estates executor beneficiaries heirs heir intestate administrator codicil
    incident narrative suspect suspects victim victims reporting officer evidence exhibitors vehicle vehicles plaintiff's
    defendant's nature parties' both her his hers mine ours yours is are was were be been being has have had do does did
    shall should would could can cannot must might until since about above below between among within over
    complainants decedent testator landlord landlords tenants lessees lessors mortgagee mortgagor drawer payer payor
    turkish polish german austrian french british swedish norwegian italian russian greek spanish dutch swiss danish
    finnish american canadian chinese japanese irish scottish welsh english hungarian romanian bulgarian
    ukrainian czech slovak portuguese belgian cypriot indian mexican australian asian african
    dollars dollar euros pounds liras zlotys schillings country countries generic establishment status inventions
    invention merge consolidate acquirer portal tier bulk receipt labs lab initials schedule esq jr sr pllc
    selling investment holding working transferring complaining performing enforcing defaulting replacement protected
    health pending transition educational
    iban swift bic ein ssn tel madam input drawn remarks argument arguments skeleton verified determination certainty
    social national numbers
    """.split()
)

# The rules that all languages share in which names, and few other words, have a capital (ISO 639: "multiple").
CONTINENTAL = "mul"
# The same rules, for a language that no learned detector knows (ISO 639: "undetermined").
UNKNOWN = "und"

# Words of legal drafting that are also personal names: they count as names where a name is expected.
AMBIGUOUS_NAMES: frozenset[str] = frozenset(
    """
    april august banks best bill bishop bond branch case cash chambers chance chase church cross day drew english field
    fields frank french german good grace grant holder hope irish justice king land law little long lord major mark marks
    may marshall north page park parks penny place plant post power price prior read rent rice rich rose royal sale
    sharp short site small stock stone street summer trade trust union victor wall ward west white will wise wood
    woods work works young june mason cook baker carter miller judge bench south east power sterling duke
    """.split()
)

# What stands before a colon in forms, in lower case: never the name of whom the form is about.
FORM_LABELS: frozenset[str] = frozenset(
    """
    account address age alias allergies amount annex applicant apologies attachments attendees author birth capacity
    chair citation city claimant class client comments company complaint consultant contact count country county date
    defendant department diagnosis dob email employer ethnicity exhibit extension file forename forenames gender gp
    grade hosp hospital item job location manager mobile mrn name narrative nationality nok note notes occ occupation
    offence ordered paid parcel partners patient phone place plan position post postcode present prepared priority
    procedure profession proposed pt purpose reason ref referee reference referral relationship remarks reply report
    respondent result role route school sender sent sex signature signed specialty statement status subject summary
    surname susp telephone time title total treatment type unit vehicle vict ward wit witness
    adresse akte aktenzeichen alter anlage anlagen anschrift anwesend arbeitgeber auftrag az beruf betreff betr
    beschuldigte beschuldigter bezirk bezug datum diagnose dienststelle empfänger familienname familienstand frist
    geburtsdatum geburtsname geburtsort geschlecht geschädigte geschädigter gegenstand hausarzt iban inhalt kfz kind
    kontoinhaber kostenstelle kunde mandant mieter nachname name nationalität ort patient patientin personalien posten
    protokoll rechnung sachbearbeiter schaden staatsangehörigkeit strasse straße tatort tatzeit telefon termin
    frage antwort vorhalt question answer thema unterschrift verfahren vermieter verteiler vorgang vorname vornamen wohnhaft wohnort zeuge zeugin zweck
    absent absente absents adresse appelant appelante demandeur domicile objet présents profession référence signature
    apellidos asunto denunciante denunciado dirección domicilio firma hechos nombre
    cognome indirizzo oggetto presenti residenza assunto morada nome onderwerp naam voornaam adres imię nazwisko
    """.split()
)

# Places that name a jurisdiction rather than the location of a person.
JURISDICTIONS: frozenset[str] = frozenset(
    name.strip()
    for name in """
    afghanistan, albania, algeria, andorra, argentina, armenia, australia, austria, azerbaijan, bangladesh, belarus,
    belgium, bosnia, bosnia and herzegovina, brazil, britain, great britain, bulgaria, cameroon, canada, chile, china,
    colombia, croatia, cuba, cyprus, czech republic, czechoslovakia, denmark, ecuador, egypt, england, england and wales, estonia,
    ethiopia, eu, europe, european union, federal republic of germany, finland, france, frg, gdr, georgia, german democratic republic,
    germany, ghana, greece, hong kong, hungary, iceland, india, indonesia, iran, iraq, ireland, israel, italy, japan,
    jordan, kazakhstan, kenya, korea, kosovo, kuwait, latvia, lebanon, libya, liechtenstein, lithuania, luxembourg,
    macedonia, malaysia, malta, mexico, moldova, monaco, montenegro, morocco, netherlands, new zealand, nigeria,
    north korea, northern ireland, norway, pakistan, panama, peru, philippines, poland, portugal, prc, qatar, romania,
    russia, russian federation, san marino, saudi arabia, scotland, serbia, singapore, slovakia, slovenia, somalia,
    south africa, south korea, soviet union, spain, sri lanka, sudan, sweden, switzerland, syria, taiwan, tanzania,
    thailand, the netherlands, the united kingdom, the united states, tunisia, turkey, turkmenistan, u.k., u.s.,
    u.s.a., uae, uganda, uk, ukraine, united arab emirates, united kingdom, united states, united states of america, united kingdom of great britain, united kingdom of great britain and northern ireland,
    great britain and northern ireland,
    uruguay, us, usa, ussr, uzbekistan, venezuela, vietnam, wales, yemen, yugoslavia, zimbabwe, africa, asia,
    north america, south america, america, strasbourg, alabama, alaska, arizona, arkansas, california, colorado, connecticut, delaware,
    district of columbia, florida, hawaii, idaho, illinois, indiana, iowa, kansas, kentucky, louisiana, maine,
    maryland, massachusetts, michigan, minnesota, mississippi, missouri, montana, nebraska, nevada, new hampshire,
    new jersey, new mexico, new york, north carolina, north dakota, ohio, oklahoma, oregon, pennsylvania,
    rhode island, south carolina, south dakota, tennessee, texas, utah, vermont, virginia, washington, west virginia,
    wisconsin, wyoming, puerto rico, ontario, quebec, british columbia, alberta
    """.replace("\n", " ").split(",")
)

# An organization with one of these words in its name is a court or a state body: not personal, and needed to
# understand the law.
PUBLIC_ACRONYMS: frozenset[str] = frozenset(
    """
    fda sec fdic ots finra nasd irs epa irb iso cfr ucc gaap erisa ftc fcc doj occ fasb dol ofac hipaa nasdaq nyse
    osha ferc pmda vat eea nato who wto
    """.split()
)
PUBLIC_BODY: frozenset[str] = PUBLIC_ACRONYMS | frozenset(
    """
    court courts tribunal tribunals chamber government parliament senate congress ministry minister ministries
    republic supreme constitutional cassation convention treaty act code union nations
    """.split()
)

# Legal forms of companies as single words, in lower case and without periods.
LEGAL_FORMS: frozenset[str] = frozenset(
    """
    inc incorporated corp corporation llc llp lp ltd limited plc co company gmbh ag kg mbh sa sas sarl spa srl
    bv nv ab
    """.split()
)
# Letters of legal forms with periods, which become single words: "L.L.C.", "P.C.", "N.A.", "S.A.", "B.V.".
LEGAL_FORM_LETTERS: frozenset[str] = frozenset("abclnpsv")

# A name with one of these words is that of an institution, not of a person; in lower case, without plurals.
INSTITUTION_WORDS: frozenset[str] = frozenset(
    """
    academy administration agency airline airport airway assembly assurance attorney-general association authority bank
    bar board brewery broadcasting brother bureau cabinet cathedral center centre chamber church clinic club
    college collectorate commission commissioner commissionerate committee communication confederation congregation
    construction consortium constabulary consulate cooperative cooperation council court crown dairy department depot
    development directorate distillery division electricity electronic embassy employment energy engineering enterprise
    export exchange faculty federation finance financial force foundation fund government governorate group guild
    gymnasium home hospital hotel import industry industrie industries infrastructure inspectorate institute institution
    insurance international investment laboratory league legislature library logistic magistracy management market media
    mill mine minister ministry monastery mosque motor municipality museum navy newspaper office organisation
    organization oil panchayat parish parliament partner partnership party petroleum pharmaceutical police
    post power presidency press prison project property prosecutor publishing railway refinery register registrar registry
    republic restaurant sabha samiti school secretariat securities senate service shipping society solicitor
    staff station steel stock store studio sugar supermarket supply syndicate system taluka team technology
    telecom telecommunication television temple territory textile theatre trade transport treasury tribunal trust
    union unit university venture warehouse water welfare workshop
    amt anstalt bezirk bund bundesrepublik feuerwehr freistaat gemeinde genossenschaft gericht gesellschaft gymnasium
    kammer kanzlei kasse kirche klinik klinikum kommission krankenhaus kreis landkreis ministerium polizei partei
    rechtsanwälte reederei sparkasse stadt stadtwerke stiftung verband verein verlag versicherung werk werke zeitung
    association assurance assurances banque cabinet caisse chambre clinique commune compagnie conseil cour département
    direction établissement état entreprise groupe hôpital mairie ministère mutuelle office parquet préfecture société
    syndicat tribunal université
    asociación ayuntamiento audiencia banco caja colegio comisión compañía consejería consejo cooperativa diputación
    dirección empresa fiscalía fundación gobierno hospital instituto juzgado ministerio municipio sindicato sociedad
    agenzia associazione azienda banca comune consiglio corte ente istituto ministero ospedale procura regione scuola
    società tribunale università
    associação caixa câmara companhia conselho empresa estado fundação governo instituto ministério município prefeitura
    secretaria tribunais universidade
    gmina ministerstwo prokuratura sąd spółdzielnia spółka starostwo szpital uniwersytet urząd zakład
    gemeente gerechtshof ministerie rechtbank stichting vereniging ziekenhuis
    """.split()
)
# Beginnings and ends of such words.
INSTITUTION_STEMS: tuple[str, ...] = (
    "bundes", "landes", "oberlandes", "staatsanwalt", "gericht", "ministerium", "versicherung", "gesellschaft",
    "krankenhaus", "verwaltung", "behörde", "kammer", "universität", "hochschule", "sparkasse", "genossenschaft",
    "verband", "bank", "banken", "anstalt", "tribunal", "ministr",
)  # fmt: skip

# Well-known places beside JURISDICTIONS, in lower case: too large to tell of a person.
PLACES: frozenset[str] = frozenset(
    name.strip()
    for name in """
    andhra pradesh, arunachal pradesh, assam, bihar, chandigarh, chhattisgarh, delhi, new delhi, goa, gujarat, haryana,
    himachal pradesh, jammu, kashmir, jharkhand, karnataka, kerala, madhya pradesh, maharashtra, manipur, meghalaya,
    mizoram, nagaland, odisha, orissa, puducherry, pondicherry, punjab, rajasthan, sikkim, tamil nadu, telangana,
    tripura, uttar pradesh, uttarakhand, west bengal, bengal, mumbai, bombay, kolkata, calcutta, chennai, madras,
    bangalore, bengaluru, hyderabad, ahmedabad, pune, surat, jaipur, lucknow, kanpur, nagpur, indore, bhopal, patna,
    vadodara, ludhiana, agra, nashik, meerut, rajkot, varanasi, srinagar, amritsar, allahabad, ranchi, gwalior, jabalpur,
    coimbatore, vijayawada, jodhpur, madurai, raipur, kochi, cochin, ernakulam, gurgaon, noida, ghaziabad, faridabad,
    shimla, dehradun, guwahati, cuttack, bhubaneswar, mysore, mangalore, thiruvananthapuram, trivandrum,
    london, birmingham, manchester, leeds, liverpool, glasgow, edinburgh, cardiff, belfast, bristol, sheffield, dublin,
    los angeles, chicago, houston, philadelphia, phoenix, san diego, dallas, boston, seattle, denver, detroit, atlanta,
    miami, san francisco, new orleans, las vegas, baltimore, toronto, montreal, vancouver, ottawa, sydney, melbourne,
    brisbane, perth, auckland, wellington, johannesburg, cape town, nairobi, lagos, accra, cairo, istanbul, ankara,
    izmir, diyarbakır, diyarbakir, moscow, saint petersburg, st petersburg, grozny, kyiv, kiev, kharkiv, odessa, minsk,
    warsaw, kraków, cracow, gdańsk, łódź, poznań, wrocław, prague, brno, bratislava, budapest, vienna, graz, salzburg,
    bucharest, sofia, belgrade, beograd, novi sad, zagreb, ljubljana, sarajevo, skopje, tirana, athens, thessaloniki,
    nicosia, valletta, rome, roma, milan, milano, naples, napoli, turin, torino, palermo, genoa, bologna, florence,
    firenze, venice, venezia, paris, marseille, lyon, toulouse, nice, nantes, strasbourg, bordeaux, lille, rennes,
    madrid, barcelona, valencia, seville, sevilla, zaragoza, málaga, bilbao, lisbon, lisboa, porto, brussels, bruxelles,
    antwerp, ghent, amsterdam, rotterdam, the hague, utrecht, luxembourg, bern, zurich, zürich, geneva, genève, basel,
    lausanne, berlin, hamburg, munich, münchen, cologne, köln, frankfurt, stuttgart, düsseldorf, dortmund, essen, leipzig,
    bremen, dresden, hannover, nürnberg, duisburg, bochum, wuppertal, bielefeld, bonn, münster, karlsruhe, mannheim,
    augsburg, wiesbaden, kassel, kiel, erfurt, mainz, saarbrücken, potsdam, bayern, baden-württemberg, hessen, niedersachsen,
    nordrhein-westfalen, rheinland-pfalz, saarland, sachsen, sachsen-anhalt, schleswig-holstein, thüringen, brandenburg,
    mecklenburg-vorpommern, deutschland, österreich, schweiz, frankreich, italien, spanien, türkei, stockholm, gothenburg,
    malmö, oslo, bergen, copenhagen, københavn, aarhus, helsinki, tampere, turku, reykjavik, tallinn, riga, vilnius,
    chişinău, chisinau, tbilisi, yerevan, baku, tokyo, osaka, seoul, beijing, shanghai, taipei, manila, jakarta, bangkok,
    hanoi, karachi, lahore, islamabad, dhaka, colombo, kathmandu, kabul, tehran, baghdad, damascus, beirut, jerusalem,
    tel aviv, riyadh, dubai, abu dhabi, doha, são paulo, sao paulo, rio de janeiro, brasília, brasilia, salvador,
    fortaleza, belo horizonte, curitiba, recife, porto alegre, buenos aires, santiago, lima, bogotá, bogota, caracas,
    quito, montevideo, mexico city, havana, southern turkey, chechnya, chechen republic, northern cyprus, bavaria, saxony,
    catalonia, sicily, bosnia, crimea, kurdistan, palestine, gaza, west bank, balkans, caucasus, middle east, latin america
    """.replace("\n", " ").split(",")
)

# Peoples, faiths and groups: words that a person shares with many.
DEMONYMS: frozenset[str] = frozenset(
    """
    afghan african albanian alevi algerian american anglican arab arabic argentinian armenian asian assyrian australian
    austrian azerbaijani azeri bangladeshi baptist belarusian belgian bengali bosniak bosnian brahmin brazilian british
    buddhist bulgarian cameroonian canadian catholic caucasian chechen chilean chinese christian colombian coptic
    croat croatian cuban cypriot czech dalit danish dutch egyptian english eritrean estonian ethiopian european filipino
    finnish flemish french gambian georgian german ghanaian greek gujarati gypsy harijan hindu hispanic hungarian
    icelandic indian indonesian ingush iranian iraqi irish islamic israeli italian ivorian jain japanese jewish jew
    jordanian kashmiri kazakh kenyan korean kosovan kurd kurdish kuwaiti kyrgyz latin latino latvian lebanese libyan
    lithuanian lutheran macedonian malaysian maltese maori marathi methodist mexican moldovan mongolian montenegrin
    moroccan muslim namibian nepalese nigerian norwegian obc orthodox pakistani palestinian panamanian parsi persian
    peruvian pole polish portuguese protestant punjabi quaker roma romani romanian russian rwandan saudi scandinavian
    scottish serb serbian shia sikh sinhalese slavic slovak slovakian slovene slovenian somali spanish sudanese sunni
    swede swedish swiss syrian tajik tamil tatar telugu thai tibetan tunisian turk turkish turkmen ugandan ukrainian
    uzbek venezuelan vietnamese welsh yazidi yemeni yugoslav zimbabwean
    """.split()
)

TIME_WORDS: frozenset[str] = frozenset(
    """
    january february march april may june july august september october november december monday tuesday wednesday
    thursday friday saturday sunday spring summer autumn winter christmas easter ramadan day week month year hour minute
    today yesterday one two three four five six seven eight nine ten eleven twelve hundred thousand million billion dozen
    half lakh lac crore percent rupee dollar euro pound
    januar februar märz mai juni juli oktober dezember montag dienstag mittwoch donnerstag freitag samstag sonntag ostern
    weihnachten tag woche monat jahr eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf hundert tausend
    janvier février mars avril mai juin juillet août septembre octobre novembre décembre lundi mardi mercredi jeudi
    vendredi samedi dimanche enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
    gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre janeiro fevereiro março maio junho julho
    setembro outubro novembro dezembro
    """.split()
)

# Suffixes that distinguish generations of a family, as written after a name.
GENERATIONS: tuple[str, ...] = ("Jr", "Sr", "II", "III", "IV")
FOLDED_GENERATIONS: frozenset[str] = frozenset(generation.lower() for generation in GENERATIONS)

# Titles before a name, in lower case; those of the first two sets imply a gender.
FEMALE_TITLES: frozenset[str] = frozenset(
    {"mrs", "ms", "miss", "lady", "madam", "frau", "dame", "smt", "shrimati", "mst"}
)
MALE_TITLES: frozenset[str] = frozenset({"mr", "sir", "lord", "herr", "herrn", "shri", "sri"})
FOLDED_TITLES: frozenset[str] = FEMALE_TITLES | MALE_TITLES | {"dr", "prof", "professor", "judge", "justice"}
# Titles as written before a name: titles of courtesy, and titles of an office or a profession.
COURTESY_TITLES: tuple[str, ...] = tuple(
    """
    Mr Mrs Ms Miss Dr Prof Sir Dame Lord Lady Hon Honorable Honourable Frau Herr Herrn
    Smt Shri Sri Sh Shrimati Kumari Kum Km Mst Sardar Thiru Tmt Thirumathi Encik Puan Datin Alhaji Alhaja Hajia Mzee
    """.split()
)
OFFICE_TITLES: tuple[str, ...] = tuple(
    title.strip()
    for title in """
    Mx, MR, MRS, MS, Messrs, Cllr, Councillor, Alderman, DR, Professor, Judge, Justice, Justices, Chief Justice, Magistrate, Attorney, Solicitor,
    Barrister, Advocate, Officer, Detective, Det, Sergeant, Sgt, Inspector, Captain, Capt, Lieutenant, Lt, Colonel,
    Col, Constable, Deputy, Sheriff, Agent, Rev, Reverend, Father, Sister, Brother, Rabbi, Imam, Senator, Nurse,
    Maître, Fru, Mme, Madame, Monsieur, Señor, Señora, Sr, Sra, Dott, Avv, Rechtsanwalt, Rechtsanwältin, Richter,
    Richterin, Coach, Pastor, Deacon
    """.replace("\n", " ").split(",")
)

# Surnames of one character, the most common first.
SURNAMES_ZH = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟"
    "姜崔谭陆范汪廖石金贾夏韦付傅方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤常温康施文"
    "牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲"
    "翁冉骆蓝路游辛靳管柴蒙鲍华喻祁房滕屈饶解牟艾尤时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫柏宗瞿"
    "桂全佟应臧闵苟邬边卞姬师仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟邝官封谈匡鞠惠荆乐冀郁胥南班储原栗"
    "燕楚鄢劳谌奚皮粟冼蔺楼盘闻位厉伊仝区郜海阚花权帅屠豆朴盖练廉禹井祖漆巴丰卿狄平索宣晋云容来扈"
    "晁芮普阙浦戈伏鹿薄邸雍辜羊阿乌母裘亓修邰赫杭况那宿鲜印逯隆茹战慕危玉银亢嵇哈湛宾戎勾茅利於呼居揭尉冶斯元束檀"
    "水昌凤酆萧米贝计支贲洪诸钮滑荀羿汲邴糜松弓牧隗宓郗仰秋暴钭韶蓟怀蒲鄂籍赖苍莘贡逄扶堵宰郦郤璩濮寿郏阎习宦鱼慎庾暨步弘禄殳沃蔚夔厍融訾毋乜巢蒯红竺桓阳畅顿祃寸展尧妥敬矫撒虎雒岐"
    "衣阴昝智幸奉植富芳郑肇翦衡查闻翟"
)

# Words that a detector without their meaning takes for names; some are names, too.
WORDS_LIKE_NAMES_ZH = frozenset(
    """
    明白 武功 文明 王朝 阳光 陆军 卫星 雷达 荣誉 古老 冷笑 武林 明星 宫殿 权威 师傅 封锁 宣言 胡同 玉米 师兄 顾问 智慧 白雪 高峰 齐声 祖先 文武 高潮 齐全 洪水 顾客 凤凰 辛勤 米粉 玉石 胡子 桂林 柏林 叶子 安静 祖宗 谢谢 白领 红旗 康复 沙滩 师范 诸如 梅花 吉祥 范畴 周转 诸侯
    元帅 孙子 宁可 修正 凌辱 陈述 荣获 丛林 马匹 关怀 林立 温泉 白宫 红外 呼唤 陈列 乌云 宁静 蓝天 金刚 师生 冷汗 安抚 许可 原谅 容纳 杜绝 卓越 沙丘 晋升 童子 祝贺 师母 白石 松树 兰花 岳父 史诗 乌龟 凌厉 荣耀 桂花 高悬 马背 乔木 毛巾 麦子 白布 张开 元老 银杏 周密 朴素 陈设 高薪 宾客
    华丽 石林 麻木 弘扬 燕子 巴掌 白发 金黄 林子 林木 安危 查明 石柱 杜鹃 张贴 周旋 田园 孔雀 王宫 史实 戈壁 张嘴 古文 张口 田野 李子 廉政 雷声 钱财 温馨 白银 蓝图 殷勤 明智 陈旧 祝福 严正 贝壳 高昂 庄园 顾忌 高超 胡椒 张罗 徐徐 高雅 牛马 富豪 时髦 敬仰 敬畏 卫冕 古董 施政 明朗
    熊猫 钟声 明文 陶醉 阿姨 汪洋 任凭 滑雪 张扬 高喊 麻醉 盖子 周全 权贵 毛发 白昼 敬佩 边远 张望 柳树 许诺 许昌 白痴 史前 晋级 涂抹 巴结 斯文 黄牛 孙女 洪亮 柏树 权衡 丛生 鲁莽 盛世 石阶 索引 秋水 农耕 富翁 元宝 周详 雷雨 华裔 容颜 苏醒 荆棘 冷清 金秋 屠宰 矫正 敬礼 齐备 马虎
    昌平 卢比 宋体 施舍 盖章 党羽 牛津 沙龙 梁柱 勾勒 乐章 钟楼 解密 钱粮 连贯 甘休 燕麦 荣幸 祖传 毛驴 步履 阴冷 松柏 方正 华贵 沙尘 连胜 饶命 云彩 凌驾 麦田 富丽 籍贯 盛怒 段子 丁香 滑翔 何曾 雷鸣 牟利 栗子 杨树 平添 孔径 安康 宁肯 母爱 敬爱 周折 白水泥 石英砂 金刚石 花岗岩 莫斯科 伊拉克
    阿根廷 阿富汗 马德里 乌克兰 胡萝卜 许可证 弱智 彩超 帖文 拭子 向其 牛宰 黄沙 银行卡 安全性 安全感 严重性 祖父母 高新区 高尔夫 石家庄 张家口 张家界 秦皇岛 沙尘暴 暴风雨 红宝石 古建筑 吉普车 宣传部 司令官 马克思 索马里 孟加拉 高加索 黎巴嫩 卢森堡 夏威夷 慕尼黑 金字塔 贡献者
    """.split()
)

# Surnames of two characters.
COMPOUND_SURNAMES_ZH = (
    "欧阳",
    "司马",
    "上官",
    "诸葛",
    "东方",
    "皇甫",
    "尉迟",
    "公孙",
    "慕容",
    "令狐",
    "司徒",
    "夏侯",
    "端木",
    "宇文",
    "长孙",
    "南宫",
    "独孤",
    "西门",
    "百里",
    "轩辕",
    "呼延",
    "申屠",
    "太史",
    "澹台",
    "司空",
    "闻人",
)
