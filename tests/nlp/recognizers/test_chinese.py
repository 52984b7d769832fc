"""Chinese: people, homes and kin invented for these tests; what must be found is marked with ⟦ ⟧."""

from __future__ import annotations

import pytest

from lexveil.nlp.citations import citations
from lexveil.nlp.recognizers.address_zh import ChineseAddressRecognizer
from lexveil.nlp.recognizers.birth_zh import ChineseAgeBirthRecognizer
from lexveil.nlp.recognizers.family_zh import ChineseFamilyRecognizer
from lexveil.nlp.recognizers.organization_zh import ChineseOrganizationRecognizer
from lexveil.nlp.recognizers.person_zh import ChinesePersonRecognizer
from lexveil.nlp.recognizers.phone_zh import ChinesePhoneRecognizer
from tests.nlp.recognizers.marked import find_in, mark, normalize, unmark


@pytest.mark.parametrize(
    "text",
    [
        "被告人⟦赵立强⟧，男，汉族。",
        "被告人⟦赵𠮷强⟧，男",
        "被告人⟦王自成⟧窜至某村。被告人⟦王自成⟧到案。被告人⟦王自成⟧认罪。",
        "被告人⟦李慢⟧犯盗窃罪。李慢均未到案。",
        "被告人⟦欧阳晓兰⟧到庭",
        "被害人⟦上官云⟧报警",
        "原告⟦陈晓梅⟧诉称",
        "证人⟦刘洋⟧、⟦周涛⟧的证言",
        "法定代表人⟦孙志远⟧，系",
        "委托代理人⟦何静⟧，律师",
        "同案犯⟦杜某1⟧、⟦杜某2⟧",
        "被告人⟦罗某⟧（另案处理）",
        "指派检察员⟦顿艳娜⟧出庭支持公诉",
        "审判长⟦钱力⟧ 人民陪审员⟦畅平⟧ 二〇一八年三月一日 书记员⟦冯菲⟧",
        "审判员 ⟦崔莉⟧\n书记员 ⟦段飞⟧",
        "审 判 长  ⟦张 晓 春⟧",
        "⟦马旦明⟧盗窃罪一审刑事判决书",
        "其妻⟦郭兰⟧",
        "姓名：⟦冯小强⟧",
    ],
)
def test_people_by_their_role(text: str) -> None:
    assert find_in(ChinesePersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "被告人⟦刘大成⟧，外号“⟦老三⟧”，被羁押。",
        "经查，“⟦刀疤⟧”即本案被告人⟦马三立⟧。",
        "绰号⟦黑皮⟧的⟦余大海⟧在逃。",
        "网名“⟦风清扬⟧”的⟦鲍国安⟧实施诈骗。",
        "⟦吴迪⟧（曾用名⟦吴招娣⟧、⟦吴小迪⟧）改名。",
        "外号“⟦老三⟧”、“⟦胖子⟧”的二人在逃。",
        "“⟦瘦猴⟧”（真名⟦侯通海⟧）在逃。",
        "⟦杜小月⟧（小名⟦丫丫⟧）由外婆⟦蔡金花⟧抚养。",
        "合同约定的“货款”即被告应付的价款，“定金”系指预付款。",
    ],
)
def test_aliases_and_whose_they_are(text: str) -> None:
    assert find_in(ChinesePersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "⟦乔治·W·布什⟧到庭",
        "翻译⟦让-雅克·卢梭⟧到庭",
        "⟦J·K·罗琳⟧、⟦J.K.罗琳⟧",
        "A.合同有效 B.合同无效",
        "选项A·合同有效，选项B·合同无效",
    ],
)
def test_initials_and_hyphens_in_foreign_names(text: str) -> None:
    assert find_in(ChinesePersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "姓　名　⟦张　三⟧　　性　别　男",
        "原告　⟦王　芳⟧　　被告　⟦李　小　明⟧",
        "被申请人 ⟦朱 仝⟧ 。",
        "姓 名 单 位 电 话",
        "联系人：⟦孟勇⟧  职务：执行董事",
        "法定代表人由⟦项前⟧变更为⟦席梦思⟧，登记已完成。",
        "经营范围由木材变更为石材，企业类型变更为有限公司。",
        "审判长 审判员 审判员 二〇一九年五月八日 书记员",
        "被告驾驶货车变更车道时与⟦黄某⟧相撞。",
    ],
)
def test_spaced_names_labels_beside_each_other_and_successors(text: str) -> None:
    assert find_in(ChinesePersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "⟦林海峰⟧先生",
        "与⟦吴敏⟧登记结婚",
        "致：⟦郑海⟧\n",
        "接受⟦钱峰⟧的委托",
        "接受⟦钱小峰⟧委托",
        "指派⟦曹丽⟧律师",
        "，⟦蒋文⟧的证言",
        "。⟦蒋文⟧，男，1980年",
        "育有一女⟦方蕾⟧",
        "户名⟦汤杰⟧的账户",
        "伙同⟦邓杰⟧、⟦向东⟧到场",
    ],
)
def test_people_by_the_phrase_around_them(text: str) -> None:
    assert find_in(ChinesePersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        'From: ⟦孟小勇⟧ <mx12@example.com>\nTo: "⟦葛兰芝⟧" <g3@example.com>',
        "Cc: ⟦孟勇⟧ <a@example.com>, ⟦阿迪力·库尔班⟧ <b@example.com>",
        "发件人：⟦孟勇⟧\n收件人：⟦葛兰芝⟧; ⟦蒋文⟧\n抄送：⟦何静⟧",
        "发件人：人事行政部\n收件人：全体员工",
        "From: 法务部 <legal@example.com>",
        "姓名\t性别\t电话\n⟦葛兰芝⟧\t女\t13900000000\n⟦孟勇⟧\t男\t13900000001\n合计\t\t2",
        "序号,债权人,金额\n1,⟦葛兰芝⟧,300\n2,孟氏贸易公司,500",
        "| 姓名 | 关系 |\n| ⟦其其格⟧ | 配偶 |",
        "姓名：⟦迪力夏提⟧  工号：12",
        "编制：⟦蒋文⟧\t审核：⟦何静⟧",
    ],
)
def test_people_in_headers_and_tables(text: str) -> None:
    assert find_in(ChinesePersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "⟦钱某⟧与⟦葛兰芝⟧系夫妻",
        "⟦葛兰芝⟧与⟦钱某⟧、⟦孟勇⟧均在场",
        "其配偶⟦汪小萍⟧系本地居民",
        "甲方代表：⟦焦彬⟧，乙方",
        "指派⟦公小华⟧律师就相关争议",
        "指派⟦李志强⟧律师",
        "直接主管为⟦林坤⟧，",
        "摄影作品由⟦段小玲⟧拍摄",
        "将卧室转租给⟦宋丽华⟧，且",
        "其母⟦熊秀华⟧与⟦熊秀兰⟧同住。证人⟦熊秀华⟧、⟦熊秀兰⟧到庭。",
    ],
)
def test_people_in_lists_and_phrases(text: str) -> None:
    assert find_in(ChinesePersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "原告⟦張小偉⟧起訴主張",
        "訴訟代理人⟦陳美惠⟧律師",
        "上訴人即被告⟦劉國棟⟧因詐欺案件",
        "審判長法官⟦鄭瑞麟⟧\n書記官⟦蕭玉潔⟧\n",
        "選任辯護人⟦盧義雄⟧律師",
        "答辯人⟦關德輝⟧在盤問下承認",
        "暫委法官⟦龍偉業⟧作出判決",
        "聲請人⟦蘇麗麗⟧聲請更生",
    ],
)
def test_people_in_traditional_characters(text: str) -> None:
    assert find_in(ChinesePersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "被害人⟦钱某⟧、⟦孙某某⟧、⟦周某甲⟧、⟦吴某1⟧、⟦郑某一⟧的陈述",
        "⟦黄某和⟧、⟦谢某⟧的证言",
        "被告人⟦马某⟧与⟦李某甲⟧",
        "被告人⟦吴xx⟧、⟦单××⟧的供述",
        "被告人⟦唐某⟧，又名⟦唐虎⟧，绰号“⟦小老虎⟧”。",
        "证人⟦罗某⟧的证言：⟦老罗⟧说他在场，一个姓⟦罗⟧的人",
        "被告人⟦章根林⟧与⟦江某⟧，⟦根林⟧后逃离",
        "被告人⟦阿依努尔·买买提⟧到案",
        "被告人⟦买买提·吐尔逊⟧供述",
        "⟦王姐⟧,⟦老赵⟧把钱还了吗",
        "我找⟦李总⟧要,⟦张师傅⟧没来",
    ],
)
def test_shortened_and_foreign_names(text: str) -> None:
    assert find_in(ChinesePersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "本市某小区某公司",
        "公安机关安全平台于同日立案",
        "被告人及其辩护人提出被害人有过错",
        "证人证言",
        "原告请求",
        "被告公司",
        "审判长宣布",
        "被害人家属",
        "代理人提交",
        "公诉机关指控",
        "单位犯罪",
        "方便群众",
        "常住人口",
        "高速公路",
        "本院认为",
        "石头",
        "王府井大街",
        "抚养费为9309元×22%×16.5年",
        "公司副总经理、集团公司总经理",
        "王总统和李总理到场",
        "老板说他的叔叔在家",
    ],
)
def test_words_that_name_nobody(text: str) -> None:
    assert find_in(ChinesePersonRecognizer(), text) == unmark(text)


@pytest.mark.parametrize(
    "text",
    [
        "⟦1985年3月2日⟧出生",
        "⟦一九八〇年五月一日⟧出生",
        "⟦二〇〇一年六月⟧出生",
        "生于⟦1959年8月⟧",
        "生于⟦一九八五年三月⟧",
        "⟦1981年⟧出生，汉族",
        "⟦1975年⟧生，",
        "出生日期：⟦1990-01-02⟧",
        "显示⟦1988.05.06⟧出生",
        "2019年3月1日生效",
        "1990年生产",
        "于2018年5月到案",
        "⟦民國75年3月2日⟧生",
        "⟦民国一百零一年⟧出生",
    ],
)
def test_dates_of_birth(text: str) -> None:
    assert find_in(ChineseAgeBirthRecognizer(), text, "BIRTH_DATE") == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "（女，⟦13岁⟧）、⟦十一周岁⟧、现年⟦45⟧",
        "现年⟦45岁⟧",
        "⟦七十三岁⟧",
        "时年⟦17周岁⟧",
        "年龄⟦36⟧",
        "⟦8个月大⟧",
        "⟦七旬⟧老人",
        "⟦年过半百⟧",
        "奸淫不满十四周岁的幼女，年满18周岁",
        "未满十八周岁的人",
        "已满14周岁不满16周岁",
        "年满75周岁",
        "30岁以上",
        "12岁儿童",
        "判处三年",
    ],
)
def test_ages(text: str) -> None:
    assert find_in(ChineseAgeBirthRecognizer(), text, "AGE") == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "其⟦岳母⟧李某与⟦妻子⟧到场",
        "⟦其父亲⟧到场",
        "与⟦妻子⟧争吵",
        "趁其⟦三姨⟧离家",
        "冯某某⟦之子⟧冯甲",
        "王某⟦之女⟧",
        "⟦其子⟧到场",
        "⟦其子女⟧年幼，其女友在场",
        "育有⟦一子一女⟧",
        "家中有⟦年迈的双亲⟧",
        "我⟦孩子⟧",
        "⟦前夫⟧",
        "⟦表哥⟧",
        "父母、子女、配偶、兄弟姐妹",
        "夫妻关系存续期间",
        "夫妻共同财产",
        "子女关系",
        "兄弟公司",
        "女儿国",
        "母亲节",
        "儿童",
        "男女",
        "⟦其兄弟⟧李平在场",
    ],
)
def test_kin(text: str) -> None:
    assert find_in(ChineseFamilyRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "现住⟦北京市海淀区中关村大街27号3单元501室⟧。",
        "户籍所在地：⟦贵州省凯里市⟧，",
        "户籍地：⟦湖南省衡阳县⟧，",
        "家住⟦云南省镇雄县⟧。",
        "住所地⟦上海市浦东新区张江路88号⟧。",
        "租住在⟦红星村12号⟧，",
        "住⟦新疆维吾尔自治区⟧，",
        "位于⟦飞云街道××村××路××号⟧的家中",
        "窜至⟦李万乡永兴屯村⟧许某家",
        "在⟦福州市仓山区对湖街道万安路6号⟧",
        "在⟦绿园小区3栋2单元502室⟧的家中",
        "于⟦朝阳路6号⟧抓获",
        "⟦301室⟧",
        "住院治疗",
        "没有固定住所",
        "向杭州市西湖区人民法院起诉",
    ],
)
def test_homes(text: str) -> None:
    assert find_in(ChineseAddressRecognizer(), text, "ADDRESS") == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "出生于⟦湖南省永州市⟧，",
        "从⟦杭州市西湖区⟧至⟦绍兴市越城区⟧",
        "从⟦湖北省武汉市⟧出发",
        "在⟦南京市玄武区⟧被抓",
        "途经⟦柳河镇⟧",
        "在本市",
        "各乡镇",
        "该村",
        "道路上",
        "一路上",
        "超市门口",
        "农村",
        "被西湖区公安局抓获",
        "向杭州市西湖区人民法院起诉",
    ],
)
def test_other_places(text: str) -> None:
    assert find_in(ChineseAddressRecognizer(), text, "LOCATION") == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "致电⟦13800138000⟧，",
        "致电⟦138 0013 8000⟧，",
        "致电⟦138-0013-8000⟧，",
        "致电⟦138****8000⟧，",
        "致电⟦+86 13800138000⟧，",
        "致电⟦(+86)13800138000⟧，",
        "致电⟦0571-87654321⟧，",
        "致电⟦0571-87654321转801⟧，",
        "致电⟦057187654321⟧，",
        "致电⟦(0431)5556789⟧，",
        "致电⟦0431 2227 982⟧，",
        "致电⟦010 8765 4321⟧，",
        "致电⟦400-820-8820⟧，",
        "致电⟦１３８００１３８０００⟧，",
        "电话：⟦5556789⟧",
        "座机⟦87654321⟧",
        "Tel:⟦021-87654321⟧",
        "存入6222021234567890123元，第00123456789012号，20180101",
        "身份证110105194912310021",
        "金额1380013800050元",
        "2018年1月1日",
        "12345678",
        "第138号",
        "1380013",
    ],
)
def test_phones(text: str) -> None:
    assert find_in(ChinesePhoneRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "被告⟦北京云帆科技有限公司⟧",
        "原告⟦上海青木贸易股份有限公司⟧诉称",
        "⟦四川明德律师事务所⟧律师",
        "在⟦绿洲大酒店⟧",
        "⟦中国银杏银行股份有限公司南山支行⟧",
        "于⟦永康市第二中学⟧",
        "⟦广州市青禾幼儿园⟧",
        "该公司、保险公司",
        "人民银行",
        "银行卡",
        "本公司、分公司",
        "某公司",
        "浙江省高级人民法院",
    ],
)
def test_organizations(text: str) -> None:
    assert find_in(ChineseOrganizationRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "被告人向⟦浙江省淳安县人民法院⟧提出",
        "由⟦吉林省镇赉县人民检察院⟧提起公诉",
        "被⟦宁波市公安局鄞州分局⟧抓获",
        "羁押于⟦青山县看守所⟧",
        "住淳安县公安局宿舍3栋201室",
        "住淳安县人民法院旁",
        "法院认为",
    ],
)
def test_the_names_of_courts_and_police_stay_readable(text: str) -> None:
    assert mark(unmark(text), citations(unmark(text))) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "经核对,⟦廖建平⟧的公民身份号码已经核实。",
        "确认尚欠货款,签收人为⟦涂秀荣⟧。",
        "双方交换证据,⟦赵小红⟧到庭接受质询。",
        "稽查人员⟦孙淑华⟧两次要求提供账簿。",
        "双方到庭。和解签收。",
    ],
)
def test_people_by_what_they_sign_show_and_inspect(text: str) -> None:
    assert find_in(ChinesePersonRecognizer(), text) == normalize(text)
