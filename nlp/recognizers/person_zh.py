# ruff: noqa: E501, SIM905  -- patterns and lists of words read best on one line
"""Chinese names of people, by the words around them, by how courts shorten them, and by what a document repeats.

A Chinese sentence has no spaces, so the difficulty is where a name ends. What follows decides it (`_FOLLOW`:
words that continue the sentence), and what the document itself repeats.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from lexveil.nlp.letters import HAN
from lexveil.nlp.recognizers.base import CHINESE, LABELED, SHAPED, Finding, RuleRecognizer
from lexveil.nlp.vocabulary import COMPOUND_SURNAMES_ZH, SURNAMES_ZH

_H = f"[{HAN}]"
_SURNAME = rf"(?:{'|'.join(COMPOUND_SURNAMES_ZH)}|[{''.join(dict.fromkeys(SURNAMES_ZH))}])"
# Never inside a given name.
_NEVER_GIVEN = "总副的犯在于因与及到被称系未持等是趁驾窜某供诉辩认述伙把给让叫跟就不都这那各每且或但至某这刑罪案判审款号条第岁"
# Rare inside a given name: accepted only where the document repeats the name or the sentence pauses after it.
_RARELY_GIVEN = (
    "元和由自从向均对将为经也其又酒付进出去来打用如没无有还贩容留实死受委提收支返赔归该使则之后前上下内外间时年月日说问找带同约"
    "听看见所而先再即仍只另亦曾已携非涉吸抢盗骗殴购卖拿取乘骑坐驻辖人两二三四五六七八九十百余名个位当庭主动本"
)
_MIDDOT = "·•・‧⋅∙"
_PART = rf"{_H}{{1,8}}(?:-{_H}{{1,8}})?"
# 约翰·史密斯, 乔治·W·布什, 让-雅克·卢梭, J·K·罗琳, J.K.罗琳; no "A.合同": that is a choice in a test.
_FOREIGN = (
    rf"(?:(?<![A-Za-z])(?:[A-Z][{_MIDDOT}]){{2}}|(?<![A-Za-z])(?:[A-Z]\.){{2,3}}){_PART}(?:[{_MIDDOT}]{_PART}){{0,2}}|"
    rf"{_PART}(?:[{_MIDDOT}](?:{_PART}|[A-Z](?=[{_MIDDOT}]))){{1,3}}"
)
# 张某, 张某某, 张某甲, 张某1, 张某一, 张××, 张xx, 张甲
_FILLER = r"(?:某{1,2}[甲乙丙丁戊己庚辛壬癸]?(?:\d{1,2}|[A-H](?![A-Za-z]))?|[×xX*]{1,3}(?![\d×xX*])|[×xX*]{2,3}\d{1,2})"
# After these, 某 means an unnamed thing ("a certain company"), nobody's name.
_THING = (
    r"(?:日|年|月|天|时|公司|村|小区|宾馆|酒店|饭店|网吧|银行|学校|大学|中学|医院|地|单位|国|市|县|镇|乡|路|街|栋|号|处|种|些|个|次|项|厂|店|超市|工地|房|室|区|"
    r"集团|部|局|所|平台|网|群|车|牌|款|\()"
)
_SHORTENED = CHINESE.compile(
    rf"(?:(?<!\d){_SURNAME}|(?<=证人){_H}|(?<=害人){_H}|(?<=告人){_H}|(?<=、){_H}){_FILLER}(?!{_THING})"
)
_ORDINAL = "一二三四五六七八九"
ROLE_WORDS = (
    "签收人 收货人 经手人 稽查人员 执法人员 税务人员 办案人员 诉讼代表人 附带民事诉讼原告人 附带民事诉讼被告人 反诉原告 反诉被告 再审申请人 被申请人 申请执行人 被执行人 被上诉人 上诉人 申请人 申诉人 第三人 "
    "原审被告人 被告人 原告人 原告 被告 罪犯 服刑人员 被害人近亲属 被害人 受害人 死者 证人 鉴定人 犯罪嫌疑人 嫌疑人 同案犯 同案人 同案被告人 同伙 吸毒人员 违法行为人 报案人 举报人 "
    "指定辩护人 辩护人 委托诉讼代理人 诉讼代理人 委托代理人 法定代理人 代理人 法定代表人 负责人 经营者 实际控制人 股东 员工 职工 经理 会计 出纳 "
    "公诉人 代理检察员 助理检察员 检察员 检察官助理 检察官 检察长 审判长 代理审判员 助理审判员 审判员 人民陪审员 陪审员 法官助理 法官 代理书记员 代书记员 书记员 速录员 执行员 "
    "翻译人员 翻译 侦查人员 民警 辅警 警察 律师 医生 司机 驾驶员 驾驶人 乘客 车主 房东 租客 承租人 出租人 买方 卖方 借款人 贷款人 出借人 担保人 保证人 债务人 债权人 "
    "继承人 被继承人 监护人 甲方 乙方 丙方 联系人 收件人 姓名 受托人 委托人 收款人 付款人 开户名 户名 持卡人 签名 签字 承办人 送达人 抄送 "
    "妻子 丈夫 前妻 前夫 老公 老婆 父亲 母亲 爸爸 妈妈 父母 儿子 女儿 长子 次子 长女 次女 哥哥 弟弟 姐姐 妹妹 兄弟 姐妹 叔叔 姑姑 舅舅 阿姨 岳父 岳母 妹夫 姐夫 妻弟 "
    "表哥 表弟 表姐 表妹 堂兄 堂哥 堂弟 堂姐 堂妹 侄子 侄女 外甥 女婿 儿媳 爷爷 奶奶 之妻 之夫 之子 之女 之父 之母 其妻 其夫 其子 其女 其父 其母 其兄 其弟 其姐 其妹 "
    "朋友 同事 邻居 老乡 同学 男友 女友 男朋友 女朋友 村民 居民 学生 村支书 支部书记 村主任 会计员 秘书 校长 老师 教授 "
    "投保人 被保险人 受益人 祖父 祖母 外公 外婆 配偶 主管 直接主管 上级主管 甲方代表 乙方代表 授权代表 见证人 记录人 主持人 发件人 寄件人 寄件者 收件者 寄送人 出租方 承租方 出卖人 买受人 发包人 承包人 "
    # Hong Kong and Taiwan.
    "复代理人 选任辩护人 代表律师 大律师 抗告人 相对人 声请人 声请执行人 答辩人 申索人 呈请人 与讼人 告诉人 自诉人 告发人 参加人 关系人 具保人 监督人 遗产管理人 收养人 被收养人 "
    "上诉人即被告 抗告人即被告 立契约书人 立契约人 立遗嘱人 立书人 立约人 承买人 警员 警长 督察 司法事务官 书记官 审判长法官 受命法官 暂委法官 特委法官 聆案官 裁判官"
).split()
_ROLE = rf"(?:{'|'.join(sorted(ROLE_WORDS, key=len, reverse=True))})"
_SPACED_LABEL = rf"(?:姓\s*名|签\s*[名字]|{_ROLE})"
_COURT_ROLE = (
    r"(?:代理检察员|助理检察员|检察员|检察官助理|检察官|公诉人|审判长法官|受命法官|司法事务官|书记官|审判长|代理审判员|助理审判员|审判员|人民陪审员|陪审员|法官助理|代理书记员|代书记员|书记员|速录员|执行员|"
    r"翻译人员|翻译|辩护人|诉讼代理人)"
)
# Words that continue the sentence after a name.
_FOLLOW = re.compile(
    r"[|<犯的在于因与及等被系未持是趁窜供称诉辩认述到至]|[,。、;:()\"'\s]|$|和|以|对|将|向|从|由|为|曾|均|也|又|已|经|且|现|所|该|之|其|男|女|酒后|醉酒|无证|饮酒|"
    r"出庭|到庭|当庭|支持|参加|担任|履行|依法|陈述|证言|证实|证明|提出|提供|自愿|如实|主动|归案|到案|案发|驾驶|伙同|来到|前往|进入|实施|盗|诈骗|贩|抢|强(?:奸|迫|行|制|占|要)|殴打|持|"
    r"使用|利用|通过|无视|违反|非法|故意|明知|多次|家|之间|一起|打|先后|再次|身上|处|名下|经营|开设|容留|介绍|乘|携带|拿|要求|同意|表示|承认|取得|赔偿|退|有期|"
    r"共同|受|死亡|发生|报案|报警|有|没|说|问|找|给|让|叫|带|约|听|看|见|用|把|并|而|后|前|时|还|各|两|二人|三人|四人|一人|某|收|付|签|上诉|申请|起诉|请求|主张|认可|"
    r"转|分|合|借|欠|租|买|卖|购|送|接|住|跑|逃|抓|帮|去|来|走|站|坐|跟|同|都|就|不|拒|负|承担|支付|返还|损失|人民币|户籍|身份|年龄|出生|家属|亲属|本人|个人|夫妇|夫妻|先生|女士|教授|老师|医生|律师"
)
_HALT = re.compile(r"[,。、;:()\"'\s|<]|$|出庭|到庭|支持|参加|的|担任|等|犯|及|与|律师|先生|女士|可以|就")
_NAME = rf"(?:{_SURNAME}[{HAN}]{{1,2}}|{_SURNAME}{_FILLER})"
_NOTE = r"(?:\([^()]{1,40}\))?"
_ROLED = CHINESE.compile(
    rf"{_ROLE}(?:\((?!以下)[^()]{{1,12}}\))?(?:[ \t]?:)?[ \t\n]{{0,3}}\"?(?=({_FOREIGN}|{_SURNAME}))"
)
# Names of judges and clerks may have any surname; each ends at the next space or role.
_SIGNED = CHINESE.compile(
    rf"{_COURT_ROLE}[ \t\n:]{{0,4}}(?!{_COURT_ROLE}|独任|的|依法|公开|名单|组成|担任|出庭|一名|二名|发表|认为|提出|当庭|宣读|意见|代表|为其|均)({_H}{{2,4}}?)"
    rf"(?=[\s,。、(]|$|{_COURT_ROLE}|(?:及|和)[{HAN}]{{2,4}}(?:出庭|到庭)|出庭|到庭|支持公诉|参加诉讼|担任|履行职务|依法出庭)"
)
_DEFINED = CHINESE.compile(
    rf"(?:主管|负责人|经办人|联系人|法定代表人|收款人|户名|姓名|签收人|股东|监护人|受益人|代理人|辩护人|管理人|执行人|受托人|委托人|借款人|担保人)(?:分别)?(?:为|是|系)(?=({_FOREIGN}|{_SURNAME}))"
)
_ASSIGNED = CHINESE.compile(rf"(?:指派|委派)(?:本所)?({_H}{{2,4}}?)(?=律师)")
_SIGNED_AFTER = CHINESE.compile(rf"书记员[ ]?{_H}{{2,3}}[ ]({_H}{{2,3}})(?=\s*$|\s*。\s*$|[ ]附)")
_SPACED_COURT_ROLE = r"(?:审\s*判\s*长|(?:代\s*理\s*)?审\s*判\s*员|人\s*民\s*陪\s*审\s*员|(?:代\s*)?书\s*记\s*员|法\s*官\s*助\s*理|公\s*诉\s*人|检\s*察\s*员)"
_SPACED = CHINESE.compile(
    rf"(?:{_SPACED_COURT_ROLE}|{_SPACED_LABEL})[ \t:]{{1,12}}({_SURNAME}([ \t]{{1,6}}){_H}(?:\2{_H})?)(?=[\s,。、;(|]|$)"
)
# A name with a surname that the list lacks, at the beginning of a list of names.
_RARE_ROLED = CHINESE.compile(
    rf"(?:证人|被害人|被告人|同案犯|同案人|上诉人|原告|辩护人|民警)(?!{_SURNAME}|[证家亲身辩及本损户提自以未已不无有系的之在因为所其他各二三四两等均被对])"
    rf"({_H}{{2,3}})(?=、{_SURNAME})"
)
_CRIME = (
    r"(?:犯|盗窃|诈骗|走私|贩卖|故意|过失|危险|交通|容留|寻衅|非法|强奸|强制|抢|开设|赌博|重婚|滥伐|盗伐|生产|销售|组织|职务|挪用|受贿|行贿|贪污|妨害|拒不|猥亵|放火|污染|"
    r"敲诈|聚众|伪造|合同|信用卡|贷款|集资|虚开|传授|引诱|掩饰|窝藏|包庇|诬告|侮辱|虐待|遗弃|拐|绑架|侵占|破坏|爆炸|投放|假冒|侵犯|持有|运输|制造|挪|骗|失火|逃|与|诉|等)"
)
_TITLE = re.compile(rf"\A\s*({_NAME}(?:[、,]{_NAME})*)(?={_CRIME}.{{0,60}}(?:判决书|裁定书|决定书|调解书))")
_BEFORE = CHINESE.compile(
    rf"(?:^|[,。、;:\n\s(与和])({_NAME})(?=\((?:绰号|外号|诨名|又名|别名|曾用名|化名|小名|乳名|网名|原名|英文名|系|女|男)[^()\n]{{1,30}}\))|"
    rf"(?:^|[,。、;:\n\s(])({_NAME})(?=,?\(?(?:男|女)[,。)])|"
    rf"(?<=[,。、;:\n\s(])({_NAME})(?=(?:的)?(?:证言|供述|陈述|笔录|身份证|公民身份|居民身份|护照|户籍|到案|辨认|QQ|微信|手机|电话|联系电话|联系方式|邮箱|住所|住址|银行|账户|名义|身份))"
)
_KIN_OF = r"的?(?:父亲|母亲|妻子|丈夫|儿子|女儿|哥哥|弟弟|姐姐|妹妹)"
_CONTEXTS = (
    re.compile(
        rf"({_NAME})(?=先生|女士|同志|小姐|医生|老师|教授|经理|夫妇|夫妻|家(?:中|里|院|门|吃|附近|房|楼|的))"
    ),
    re.compile(
        rf"(?<=[,。;与和\n])({_NAME})(?=将(?!来|近|要)|骑行|驾驶|步行|乘坐|持有|提交|辩称|诉称|主张|承认|表示|认可|签订|签署|签名|出借|借款|受伤|要求|诉至|登记结婚|登记离婚|打电话|冲进|报警|报案|到庭|出庭|签收|{_KIN_OF})"
    ),
    re.compile(
        rf"(?:育有[一二三两]?[子女个]{{1,2}}|(?:经办|签收|收货|经手|共同居住)人[为:]?|近亲属|管理人(?!员)|(?<=其)(?:配偶|女儿|儿子|父亲|母亲|妻子|丈夫|兄弟|姐妹|哥哥|弟弟|姐姐|妹妹)|抚养(?!费|权|义务)|跟随|(?<=[,。;])随|名叫|名为|知情人|冒充|雇佣|雇请|纠集|邀约|联系|指使|顶替|户名为?|发还给|发还|返还|退赔|赔偿给?|交给|转给|伙同|容留|带领)({_NAME})"
    ),
    re.compile(
        rf"(?<=[转租卖借送交还付让分发汇寄]给)({_NAME})|(?<=[作品由。,;\n]由)({_NAME})(?=拍摄|负责|签收|保管|经营|承担|代为|执笔|书写|收取|驾驶|创作|设计|编写|制作)|"
        rf"(?<=[。;\n])({_NAME})(?=为[^,。\n]{{2,20}}(?:编写|提供|制作|设计|担保))|({_NAME})(?=(?:、|与|和|及){_SURNAME}某)"
    ),
    re.compile(
        rf"接受({_NAME})(?=的?委托)|指派({_NAME})(?=律师|[,。、]|担任|为)|致:?\s?({_NAME})(?=[,:\n先女]|$)|"
        rf"与({_NAME})(?=登记结婚|登记离婚|结婚|离婚|系|之间|签订|相识|同居|商量|商议|发生|[,。、])|"
        rf"(?:(?<=[,。;:\n与和])|(?<=此前)|(?<=后来))({_NAME})(?=曾?于\d{{4}}年)|(?<=[,。;\n])({_NAME})(?=随其)|"
        rf"(?:情况|事实)(?:有|由)({_NAME})(?=[、,]|证实|证明|知)|(?m:^\s*({_NAME})\s*$)|"
        rf"由({_NAME})(?=(?:变更|更换|改)为{_SURNAME})"
    ),
    re.compile(
        rf"(?:法定代表人|负责人|监护人|股东|经营者|董事长?|经理)由[^,。;\n]{{2,10}}(?:变更|更换|改)为({_NAME})(?=[,。;、\n]|$)"
    ),
)
_ALIAS = CHINESE.compile(
    rf"(?:绰号|外号|诨名|又名|别名|曾用名|化名|自报名|自报姓名|网名|小名|乳名|昵称|艺名|花名|人称|真名|原名|本名|俗称)(?:为|叫|是|:)?(?:\"([^\"\n]{{1,12}})\"|'([^'\n]{{1,12}})'|({_H}{{2,4}}?)(?=[,。、;)(\s]|的{_SURNAME}))"
)
# "刀疤"即本案被告人马三立: the alias, before the name.
_ALIAS_OF = CHINESE.compile(
    rf"\"([^\"\n]{{1,6}})\"(?:,?(?:也|亦|就|即|系|是|指)){{1,2}}(?:的|本案|本人|前述|上述)*(?:{_ROLE})(?={_SURNAME})|\"([^\"\n]{{1,6}})\"\((?:真名|本名|原名|即|系)"
)
_PLAIN_ALIAS = 3  # the group of one without quotation marks
_QUOTED = re.compile(r"\"([^\"\n]{1,12})\"")
_ALIAS_NEXT = re.compile(rf"[、和与及]({_H}{{2,4}}?)(?=[,。、;)(\s]|$)")

# Words that look like names. A person could have such a name, but rarely does.
_WORDS = frozenset(
    """
    方法 方式 方面 方向 时间 时许 时候 时任 和平 同意 同时 同年 同月 同日 同样 同车 公司 公安 任何 任务 安全 安排 高度 高速 高新 高中 明知 明显 明确 明细 成立 成年 成功 都是 单位 单独 单方 经营 经济 经过 经本
    经审 经鉴 经查 经检 经办 经手 经理 金额 金钱 全部 全体 全国 全案 相关 相同 相应 相互 相识 相继 应当 应予 应依 应付 常住 常委 向前 向本 向其 向他 向被 向上 多次 关于 关系 关联 平时 平台 平均 程序 程度 温度 水平 水泥
    水果 水库 万元 万余 连续 连同 左右 左侧 左手 左臂 左腿 左肩 左眼 路口 路段 路边 路面 路人 白色 白粉 黄色 黄金 黑色 红色 蓝色 宁波 计算 计划 计人 解除 解释 解决 解回 支付 支持 国家 国籍 国道 文化 文书 文件 后果 申请 申诉
    车辆 车牌 车道 车型 车身 严重 严格 严惩 富强 危险 危害 家属 家庭 家人 家中 家里 万人 农民 农村 农业 农用 农商 农历 包括 包庇 包装 包厢 包间 项目 应聘 金属 金融 石头 石块 水电 水沟 江苏 江西 江南 江北 湖南 湖北 云南 贵州 甘肃 安徽 宁夏 海南
    广东 广西 山东 山西 河南 河北 陕西 四川 福建 浙江 辽宁 吉林 上海 北京 天津 重庆 尚未 尚有 尚需 曾因 曾经 曾于 向公 向法 温州 徐州 常州 郑州 杭州 苏州 广州 福州 泉州 柳州 汉族 满族 苗族 回族 壮族 蒙古 牛奶 牛肉 马路 马上 马力
    单价 单据 单元 车主 车站 房屋 房间 房东 房产 房门 房内 毛发 毛重 白酒 雷管 石油 华为 乐器 巴士 党员 党委 党支 党组 和解 和解协 项下 查明 查获 查询 查看 查封 查扣 查实 查证 查缴 干部 干活 后又 后来 后经 后因 后于 后被 后将 何人 何时 何种
    游戏 游乐 游客 辛苦 冷静 冷冻 古董 官员 官方 封闭 封存 位于 位置 区分 区别 区域 区间 权利 权益 权属 花园 花费 花销 练习 盖章 商品 商店 商场 商铺 商量 商议 商标 盛大 强制 强行 强奸 强迫 戒毒 钱款 钱财 钱包 钱物 贺卡 简易 简单 简称 司机 司法
    步行 乘坐 原告 原审 原判 原因 原籍 原系 原件 原则 原为 原有 索要 索取 索赔 宣告 宣判 宣布 宣读 容留 容器 来到 来源 来往 印章 印刷 于本 于同 于当 于上 于下 于今 于次 于其 于判 柴油 柴火 管理 管制 管辖 解放 鲜血 鲁某 路某 师傅 师父 连夜 连带 麻将 麻黄
    怀疑 怀孕 怀里 怀有 步入 支撑 支部 支行 红包 红酒 红河 展开 展示 展览 习惯 慎重 扶养 扶助 诸多 诸如 秋天 秋季 松开 松树 松林 籍贯 堵截 堵住 堵塞 暨附 米宽 米处 米长 米外 洪水 苍白 阳光 阳性 阳台 畅通 撒谎 鱼塘 鱼类 弓箭 阴部 阴道 阴茎 阴毛 强制
    解答 范围 应承 应该 应按 应由 应认 应得 应收 应缴 应有 应为 应在 应作 应将 应给 应对 应向 应与 应支 向社 向原 向被 向人 向对 向乙 向甲 向银 向外 银行 辩称 申报 成人 成本 成果 成员 师事 安置 安装 常见 常识 周末 周一 周二 周三 周四 周五 周六 周日
    何以 何地 计入 计提 计价 时效 万一 万分 车祸 车损 双倍 双休 明示 明文 党纪 全额 全责 全职 全程 支出 房价 房款 房贷 平等 高于 高额 施工 施行 方可 方便 方能 继承 石英 石料 石材 牟利 牟取 水费 白条 能否 空军 任职 强制 温馨 游说 古典 曲折 常务 高级 副总 司总 荣誉 时代 相当 相反 相对 相互 诸位 包含
    祖父 祖母 边上 边界 查找 费用 顾客 利用 利息 利润 能力 能够 任职 任意 沙发 沙场 沙滩 危房 乔装 麦地 简要 凌晨 毕业 裴某 束缚 束手 元整 元月 那么 那个 那里 那天 呼吸 呼叫 呼救 呼喊 居民 居住 居委 居间 隆重 印有 印发 斯诺 冶炼 楼下 楼上 楼道 楼梯 楼房 楼顶
    """.split()
)
_WORD_STARTS = frozenset(word for word in _WORDS if len(word) == 2)


# A name before an e-mail address: 孟勇 <...>, "孟勇" (...).
_ALONE = rf"{_H}{{2,6}}(?:[{_MIDDOT}]{_H}{{1,8}}){{0,3}}"
_BEFORE_EMAIL = CHINESE.compile(
    rf"(?<![{HAN}])({_ALONE})[\"']?[ \t]{{0,3}}[<(\[][ \t]?(?:mailto:)?(?=[\w.+%-]{{1,64}}@)"
)
_SURE_LABEL = "姓名 联系人 收件人 寄件人 收货人 借款人 出借人 担保人 保证人 见证人 经办人 欠款人 申请人 签名 签字 户主 持卡人 紧急联系人 法定代表人 证人 鉴定人 当事人 审核 复核 批准 编制 制表 记录人 主持人"
_HEADER = CHINESE.compile(
    rf"(?im:^[ \t>*|]{{0,4}}(?:(?P<sure>{'|'.join(_SURE_LABEL.split())}|授权代表)|From|To|Cc|Bcc|Sender|Reply-To|发件人|收件人|抄送|密送|寄件者|收件者|副本|出席|缺席|参加人|参会人员|与会人员)"
    rf"(?:\([^()\n]{{1,12}}\))?[ \t]*:[ \t]*(?=(?P<rest>[^\n]{{1,400}})))"
)
# The label before an item further on in the line of a header: "联系人:孟勇  职务:执行董事".
_OTHER_LABEL = re.compile(rf"({_H}{{2,8}})[ \t]*:[ \t\"']*\Z")
_NAMED_LABELS = frozenset((*_SURE_LABEL.split(), *ROLE_WORDS))
_HEADER_ITEM = re.compile(
    rf"(?<![{HAN}\w@.])[\"']?({_ALONE})[\"']?(?=[ \t]*(?:[<(\[;,、|\n]|$)|[ \t]{{2}}|\t)"
)
# Cells that head a column of names.
_COLUMN = re.compile(
    r"[^\n]{0,8}(?:姓名|名字)\)?|联系人|债权人|债务人|继承人|被继承人|证人|被害人|付款人|收款人|股东|户主|经办人|签收人|员工|学生|患者|客户|当事人|被保险人|投保人|受益人|借款人|出借人|担保人|申请人|负责人|与会人|参会人员|成员"
)
_TABLE_HEAD = CHINESE.compile(
    rf"(?m:^[^\n]{{0,200}}(?:姓名|名字|{'|'.join('联系人 债权人 债务人 继承人 证人 被害人 付款人 收款人 股东 户主 经办人 签收人 员工 学生 患者 客户 当事人 被保险人 投保人 受益人 借款人 出借人 担保人 申请人 负责人 参会人员 成员'.split())})[^\n]{{0,200}}$)"
)
_CELL = re.compile(rf"[ \t\"']*({_ALONE}|{_H}[ ]{_H}|{_SURNAME}{_FILLER})[ \t\"']*")
_NO_NAME = re.compile(
    r"(?:部|部门|处|科|室|组|公司|中心|学院|大学|医院|银行|法院|检察院|局|会|所|社|队|委员会|客服|全体|员工|同事|同仁|人员|老师们|客户|方|略|无|男|女|合计|小计|总计|备注|普通|本人|日期|电话|地址|性别|职务|关系|配偶|父母|子女|长子|次子|长女|次女|[父母兄弟姐妹儿女夫妻]|[省市县区镇乡村路号元年月日])$|"
    r"^(?:全体|各位|所有|财务|法务|人事|行政|采购|销售|技术|市场|办公|客服|系统|管理|尊敬|亲爱)"
)
_LONGEST_PLAIN = 4


_SEPARATOR = re.compile(rf"{_NOTE}(?:、|和|与|及其|以及|及)(?=(?:{_SURNAME}|{_H}{{2,3}}[、(]))")
_FOREIGN_NAME = re.compile(_FOREIGN)
_LEADING_ROLE = re.compile(_ROLE)
_UNKNOWN = re.compile(rf"({_H}{{2,3}})(?=[、(])")
_ONE_HAN = re.compile(_H)
_THREE_HAN = re.compile(rf"{_H}{{3}}")
_SURNAME_FIRST = re.compile(_SURNAME)
_FILLER_NEXT = re.compile(_FILLER)
_AFTER_SHORTENED = re.compile(
    rf"([{_ORDINAL}])(?=[、,。(\s]|等|的|吸|在|于|和|与|及|因|到)|({_H})(?=[、,。(的]|到庭|经营|登记|驾驶|$)"
)
_NO_TAIL = frozenset(
    "的在于因与及等被系未持是趁窜供称诉辩认述到至犯某证陈说听看见家处人和从向对将把给让叫跟由为之其又也都就不均二三四五六七八九十两一女男上下内外前后时"
)
# Not 不 and 都: 阿不都热合曼.
_BEFORE_FOREIGN = _NEVER_GIVEN.replace("不都", "") + "人员和由向对为从将长者"
_AFTER_FOREIGN = _NEVER_GIVEN + "驾经从对将向以和均由其曾共同"
# Surnames that are words as well; alone they name nobody.
_SURNAME_WORDS = frozenset(
    "于和向时成经明同方单车水金高任应常安平全何关连白黄红万路家文公司后相解国富严盖来去危能位区原都容云党查干毛古"
)
_SURNAME_ALONE = CHINESE.compile(
    rf"姓({_H})(?=[的,。、某])|\"({_H})\"|(?<=[去到在且从至往])({_H})(?=家[中里院实附门,。的内])|"
    rf"(?<![{HAN}])(?:老|小)({_H})(?=[说称讲叫让的,。、家])|(?<=老乡)老({_H})|(?<=[与和])({_H})(?=发生|的(?:父|母|妻|丈|儿|女))|"
    rf"(?<=[,。;]后)({_H})(?=因|遂|便|又)|(?<=谎称)({_H})(?=与)"
)
_GIVEN_ALONE = CHINESE.compile(
    rf"(?<=[、,。和与叫跟对被给向\"；后])({_H}{{2}})(?=[、,。和与都均二后等说称将把对被\"])"
)
# As people call each other: 王姐, 李总, 老赵. Only surnames that begin few words.
_CALLED_SURNAME = "王李张刘陈杨赵黄周吴徐孙胡朱郭何罗梁宋郑谢韩唐冯董萧曹袁邓许傅沈曾彭吕苏卢蒋蔡丁魏薛叶阎余潘杜戴汪姜范姚谭廖邹陆郝孔崔邱秦侯邵孟顾"
_CALLED = CHINESE.compile(
    rf"(?:(?<!{_H})|(?<=[找给跟和与问叫让对是向被由请见]))(?:([{_CALLED_SURNAME}](?:老板|师傅|阿姨|大哥|大姐|大爷|大妈|大叔|姐|哥|叔|姨|嫂|婶|总(?![统理监裁书经队结数共])))|"
    rf"([老阿][{_CALLED_SURNAME}])(?=[把说叫给跟去来让问的要没不在有和也就,。?!:;、]))"
)
_OFTEN = 3  # mentions from which a document's own repetitions decide where a name ends


def begins_with_surname(name: str) -> bool:
    """Return True if a name begins with a Chinese surname."""
    return _SURNAME_FIRST.match(name) is not None


# Who is called by a surname has a full name in brackets: "老龚(龚建业)".
_NAMED_AFTER = CHINESE.compile(rf"[老小阿]([{HAN}])\((\1[{HAN}]{{1,2}})\)")


class ChinesePersonRecognizer(RuleRecognizer):
    """Names of people in Chinese texts, whole or shortened."""

    TYPES = ("PERSON",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the names of people in `text`."""
        findings = list(
            chain(
                _after_roles(text),
                _in_title(text),
                _in_context(text),
                _find_called(text),
                _by_form(text),
                _in_headers(text),
                _in_tables(text),
                (Finding(*match.span(2), "PERSON", LABELED) for match in _NAMED_AFTER.finditer(text)),
            )
        )
        yield from findings
        yield from _short_forms(text, {text[finding.start : finding.end] for finding in findings})


def _after_roles(text: str) -> Iterator[Finding]:
    for match in chain(_ROLED.finditer(text), _DEFINED.finditer(text)):
        yield from _find_list(text, match.end())
    for pattern in (_SIGNED, _SIGNED_AFTER, _SPACED, _ASSIGNED):
        for match in pattern.finditer(text):
            if not _is_word("".join(match.group(1).split())):
                yield Finding(match.start(1), match.end(1), "PERSON", LABELED)
    for match in _RARE_ROLED.finditer(text):
        if not _is_word(match.group(1)):
            yield Finding(match.start(1), match.end(1), "PERSON", SHAPED)


def _in_title(text: str) -> Iterator[Finding]:
    title = _TITLE.match(text)
    if title:
        yield from _find_list(text, title.start(1))
        if text.startswith("诉", title.end(1)):
            yield from _find_list(text, title.end(1) + 1)


def _in_context(text: str) -> Iterator[Finding]:
    for pattern, score in ((_BEFORE, LABELED), *((context, SHAPED) for context in _CONTEXTS)):
        for match in pattern.finditer(text):
            start, stop = match.span(match.lastindex or 1)
            stop -= text[stop - 1] == "的"  # of the phrase after the name: 钱峰的证言
            if not _may_name(text[start:stop]):
                continue
            end = _name_end(text, start)
            # Where the phrase after the name decides, it marks the name's end.
            end = end if end and end < stop else stop
            yield Finding(start, end, "PERSON", score)
            separator = _SEPARATOR.match(text, end)
            if separator:
                yield from _find_list(text, separator.end())


def _by_form(text: str) -> Iterator[Finding]:
    """Yield aliases, names that a court has shortened, and names with middle dots."""
    for match in _ALIAS.finditer(text):
        yield from _find_aliases(text, match)
    for match in _ALIAS_OF.finditer(text):
        group = match.lastindex or 1
        if not _is_word(text[match.end() : match.end() + 2]):
            yield Finding(match.start(group), match.end(group), "PERSON", LABELED)
    for match in _SHORTENED.finditer(text):
        end = _shortened_end(text, match.end())
        yield Finding(match.start(), end, "PERSON", SHAPED)
        separator = _SEPARATOR.match(text, end)
        if separator:
            yield from _find_list(text, separator.end())
    for match in _FOREIGN_NAME.finditer(text):
        yield from _trim_foreign(text, match)


def _find_called(text: str) -> Iterator[Finding]:
    for match in _CALLED.finditer(text):
        yield Finding(*match.span(), "PERSON", SHAPED)


def _find_aliases(text: str, match: re.Match[str]) -> Iterator[Finding]:
    """Yield an alias, those that follow it, and whose it is: 绰号"老三"的刘大成."""
    group = match.lastindex or 1
    yield Finding(match.start(group), match.end(group), "PERSON", LABELED)
    end = match.end()
    while (
        following := _ALIAS_NEXT.match(text, end) if group == _PLAIN_ALIAS else _QUOTED.match(text, end + 1)
    ):
        if group != _PLAIN_ALIAS and text[end] not in "、和与及":
            break
        yield Finding(following.start(1), following.end(1), "PERSON", LABELED)
        end = following.end()
    if text.startswith("的", end):
        yield from _find_list(text, end + 1)


def _in_headers(text: str) -> Iterator[Finding]:
    """Yield the names before e-mail addresses, in the headers of mails and after labels with a colon."""
    if "@" in text:
        for match in _BEFORE_EMAIL.finditer(text):
            if _may_stand_alone(match.group(1)):
                yield Finding(match.start(1), match.end(1), "PERSON", LABELED)
    for header in _HEADER.finditer(text):
        for item in _HEADER_ITEM.finditer(text, header.end(), header.end("rest")):
            label = _OTHER_LABEL.search(text, header.end(), item.start(1))
            if label and label.group(1) not in _NAMED_LABELS:
                continue
            if _may_stand_alone(item.group(1)) and (header.group("sure") or _begins_name(item.group(1))):
                yield Finding(item.start(1), item.end(1), "PERSON", LABELED)


def _in_tables(text: str) -> Iterator[Finding]:
    """Yield the cells of each column that is headed by a word such as 姓名."""
    for head in _TABLE_HEAD.finditer(text):
        line = head.group()
        separator = next((mark for mark in ("\t", "|", ",", ";") if mark in line), " ")
        cells = [cell.strip() for cell in line.split(separator)]
        columns = [index for index, cell in enumerate(cells) if _COLUMN.fullmatch(cell)]
        start = head.end() + 1
        while columns and start < len(text):
            stop = text.find("\n", start)
            stop = len(text) if stop < 0 else stop
            row = text[start:stop].split(separator)
            if not len(cells) - 1 <= len(row) <= len(cells) + 1:
                break
            for index in (column for column in columns if column < len(row)):
                cell = _CELL.fullmatch(row[index])
                if cell and _may_stand_alone(cell.group(1)):
                    first = start + sum(len(one) + 1 for one in row[:index]) + cell.start(1)
                    yield Finding(first, first + len(cell.group(1)), "PERSON", LABELED)
            start = stop + 1


def _may_stand_alone(name: str) -> bool:
    """Return True if a line or a cell that holds nothing else may be a name."""
    return not _is_word(name) and _NO_NAME.search(name) is None


def _begins_name(name: str) -> bool:
    return any(mark in name for mark in _MIDDOT) or (
        begins_with_surname(name) and len(name) <= _LONGEST_PLAIN
    )


def _find_list(text: str, start: int) -> Iterator[Finding]:
    """Yield the name that begins at `start` and the names that follow it in the same list."""
    while True:
        foreign = _FOREIGN_NAME.match(text, start)
        end = foreign.end() if foreign else _name_end(text, start)
        if end is None:
            return
        if foreign:
            yield from _trim_foreign(text, foreign)
        elif not _is_word(text[start:end]):
            yield Finding(start, end, "PERSON", LABELED)
        separator = _SEPARATOR.match(text, end)
        if separator is None:
            return
        start = separator.end()
        if _name_end(text, start) is None and not _begins_with_rare_surname(text, start):
            return


def _begins_with_rare_surname(text: str, start: int) -> bool:
    unknown = _UNKNOWN.match(text, start)
    return unknown is not None and not _is_word(unknown.group(1))


def _name_end(text: str, start: int) -> int | None:
    """Return where the name ends that begins with a surname at `start`; None if there is none."""
    surname = _SURNAME_FIRST.match(text, start)
    if surname is None:
        return None
    given = surname.end()
    filler = _FILLER_NEXT.match(text, given)
    if filler:
        return _shortened_end(text, filler.end())
    if not _may_be_given(text, given):
        return None
    if not _may_be_given(text, given + 1):
        return given + 1
    return given + 1 + _has_two_given(text, start, given)


def _has_two_given(text: str, start: int, given: int) -> bool:
    """Return True if the given name at `given` has two characters, False if one.

    Both may be given-name characters; the second one may also begin the next word of the sentence.
    """
    whole = text.count(text[start : given + 2])
    short = _count_ended(text, text[start : given + 1])
    continues = _FOLLOW.match(text, given + 1) is not None
    if short >= _OFTEN and whole * 2 < short:
        return False
    if whole >= _OFTEN and not continues:
        return True
    rare = text[given + 1] in _RARELY_GIVEN
    if not continues and not rare:
        return True
    # "李慢犯": the sentence continues after two characters. "王自成窜至": only after three.
    return _HALT.match(text, given + 2) is not None or (rare and whole >= _OFTEN and whole == short)


def _count_ended(text: str, name: str) -> int:
    """Return how often `name` occurs where the sentence may go on after it: 熊秀 is no name for 熊秀兰 and 熊秀华."""
    count = text.count(name)
    if count < _OFTEN:
        return count
    return sum(_FOLLOW.match(text, match.end()) is not None for match in re.finditer(re.escape(name), text))


def _may_be_given(text: str, index: int) -> bool:
    given = _ONE_HAN.match(text, index) is not None and text[index] not in _NEVER_GIVEN
    return given and not text.startswith("公司", index)


def _shortened_end(text: str, end: int) -> int:
    """Return where a shortened name ends whose filler ends at `end`.

    An ordinal or the last character of the name may follow the filler, as in 张某一 and 张某军.
    """
    if text[end - 1] != "某":
        return end
    tail = _AFTER_SHORTENED.match(text, end)
    if tail is None:
        return end
    if tail.group(1) or text[end] not in _NO_TAIL:
        return end + 1
    # "黄某和、谢某": here 和 is no "and", since a comma follows.
    return end + 1 if text[end] in "和均" and text[end + 1 : end + 2] in ("、", ",") else end


def _trim_foreign(text: str, match: re.Match[str]) -> Iterator[Finding]:
    """Yield a name with middle dots, without the words of the sentence before and after it."""
    dots = [match.start() + index for index, char in enumerate(match.group()) if char in f"{_MIDDOT}."]
    initials = text[match.start()].isascii()
    before = (
        at for at in range(match.start(), dots[0]) if text[at] in _BEFORE_FOREIGN and text[at + 1] != "-"
    )
    start = match.start() if initials else max((at + 1 for at in before), default=match.start())
    role = _LEADING_ROLE.match(text, start, dots[0])
    start = role.end() if role else start
    last_part = range(dots[-1] + 2, match.end())
    end = next((index for index in last_part if text[index] in _AFTER_FOREIGN), match.end())
    if start < dots[0]:
        yield Finding(start, end, "PERSON", SHAPED)


def _may_name(name: str) -> bool:
    return len(name) > 1 and not _is_word(name) and not any(c in _NEVER_GIVEN for c in name[1:] if c != "某")


def _is_word(name: str) -> bool:
    return name[:2] in _WORD_STARTS


def _short_forms(text: str, names: set[str]) -> Iterator[Finding]:
    """Yield surnames and given names that stand alone, of people whom the text names in full."""
    surnames = {name[:1] for name in names if _SURNAME_FIRST.match(name)} - _SURNAME_WORDS
    for match in _SURNAME_ALONE.finditer(text):
        group = match.lastindex or 1
        if match.group(group) in surnames:
            old = text[match.start(group) - 1] == "老"
            yield Finding(match.start(group) - old, match.end(group), "PERSON", SHAPED)
    given = {name[1:] for name in names if _THREE_HAN.fullmatch(name)} - _WORDS
    for match in _GIVEN_ALONE.finditer(text):
        if match.group(1) in given:
            yield Finding(match.start(1), match.end(1), "PERSON", SHAPED)
