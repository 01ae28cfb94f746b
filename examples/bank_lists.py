"""Word lists and shares for `bank_table`: names, places, and how Chinese addresses are spelled.

Where the spellings come from. No published table gives how often 号楼, 栋 and 幢 are written, so they were
counted in a public corpus: the address data of the CCKS 2021 evaluation task "Chinese address parsing"
(中文NLP地址要素解析, Alibaba DAMO Academy), as stored in the public GitHub repository
qq1065507891/ChineseAddressNER at commit 4e5d01a764f5c4dfdb202fa564969a0d46c237f5, folder
paddle_ner/data/CCKS2021. Read by hand: four windows of 16,000 characters each,

    A  final_test.txt from character 0         766 lines, nearly all Beijing
    B  final_test.txt from character 400,000   751 lines, nearly all Hangzhou
    C  final_test.txt from character 800,000   789 lines, Jiangxi and deliveries from elsewhere
    D  train.conll    from character 400,000   about 100 addresses, most of them in Zhejiang

and tallied there (digits are masked as 0 in the corpus, and no address of it is kept here):

    the word after a building's number   号楼  A 92  B 13  C 9   D 3
                                          栋    A 1   B 1   C 16  D 2
                                          幢    A 3   B 11  C 3   D 4
    a flat with a unit / without          22 / 23
    0单元 / a hyphen for the unit          22 / 1
    a room's number followed by 室 / nothing / 号    49 / 19 / 12
    a province written with 省 / without (浙江省杭州 / 浙江杭州)    124 / 27

A stands here for the north, B and D for the lower Yangtze, C for the south: the corpus shows that habits
differ by region, not where the borders run, so that grouping is ours. What the corpus cannot show is
assumed, and marked so: the share of full-width digits, of villages, of capital letters in e-mail addresses.
"""

# --- Counted --------------------------------------------------------------------------------------------------------

BUILDING_WORDS = ("号楼", "栋", "幢")
BUILDING_COUNTS = {"north": (92, 1, 3), "yangtze": (16, 3, 15), "south": (9, 16, 3)}
UNIT_COUNTS = (22, 23)  # a unit, none
UNIT_WORDS, UNIT_WORD_COUNTS = ("单元", "-"), (22, 1)
ROOM_WORDS, ROOM_WORD_COUNTS = ("室", "", "号"), (49, 19, 12)
PROVINCE_COUNTS = (124, 27)  # 浙江省, 浙江

# --- Assumed --------------------------------------------------------------------------------------------------------

FULL_WIDTH_SHARE = 0.01  # old records typed with a full-width input method
VILLAGE_SHARE = 0.12  # a house in a village: no building, unit or room
CAPITAL_SHARE = 0.18  # telephones begin a field with a capital letter; people leave it
NUMERIC_EMAIL_SHARE = 0.25  # the local part is a number
NO_EMAIL_SHARE = 0.05
HOME_SHARE = 0.7  # live in the district of their national id

# --- Places: region, province (long, short), city, district, division code of GB/T 2260 ------------------------------

_NORTH, _YANGTZE, _SOUTH = BUILDING_COUNTS
PLACES = (
    (_NORTH, "北京市", "北京市", "", "东城区", 110101),
    (_NORTH, "北京市", "北京市", "", "西城区", 110102),
    (_NORTH, "北京市", "北京市", "", "朝阳区", 110105),
    (_NORTH, "北京市", "北京市", "", "丰台区", 110106),
    (_NORTH, "北京市", "北京市", "", "海淀区", 110108),
    (_NORTH, "天津市", "天津市", "", "和平区", 120101),
    (_NORTH, "天津市", "天津市", "", "南开区", 120104),
    (_NORTH, "河北省", "河北", "石家庄市", "长安区", 130102),
    (_NORTH, "山西省", "山西", "太原市", "小店区", 140105),
    (_NORTH, "辽宁省", "辽宁", "沈阳市", "和平区", 210102),
    (_NORTH, "辽宁省", "辽宁", "大连市", "中山区", 210202),
    (_NORTH, "吉林省", "吉林", "长春市", "朝阳区", 220104),
    (_NORTH, "黑龙江省", "黑龙江", "哈尔滨市", "南岗区", 230103),
    (_NORTH, "山东省", "山东", "济南市", "历下区", 370102),
    (_NORTH, "山东省", "山东", "青岛市", "市南区", 370202),
    (_NORTH, "河南省", "河南", "郑州市", "金水区", 410105),
    (_NORTH, "陕西省", "陕西", "西安市", "碑林区", 610103),
    (_NORTH, "陕西省", "陕西", "西安市", "雁塔区", 610113),
    (_YANGTZE, "上海市", "上海市", "", "黄浦区", 310101),
    (_YANGTZE, "上海市", "上海市", "", "徐汇区", 310104),
    (_YANGTZE, "上海市", "上海市", "", "闵行区", 310112),
    (_YANGTZE, "上海市", "上海市", "", "浦东新区", 310115),
    (_YANGTZE, "江苏省", "江苏", "南京市", "玄武区", 320102),
    (_YANGTZE, "江苏省", "江苏", "南京市", "鼓楼区", 320106),
    (_YANGTZE, "江苏省", "江苏", "苏州市", "姑苏区", 320508),
    (_YANGTZE, "江苏省", "江苏", "无锡市", "梁溪区", 320213),
    (_YANGTZE, "浙江省", "浙江", "杭州市", "上城区", 330102),
    (_YANGTZE, "浙江省", "浙江", "杭州市", "西湖区", 330106),
    (_YANGTZE, "浙江省", "浙江", "杭州市", "滨江区", 330108),
    (_YANGTZE, "浙江省", "浙江", "杭州市", "萧山区", 330109),
    (_YANGTZE, "浙江省", "浙江", "宁波市", "海曙区", 330203),
    (_YANGTZE, "浙江省", "浙江", "宁波市", "鄞州区", 330212),
    (_YANGTZE, "浙江省", "浙江", "温州市", "鹿城区", 330302),
    (_YANGTZE, "浙江省", "浙江", "绍兴市", "越城区", 330602),
    (_YANGTZE, "安徽省", "安徽", "合肥市", "蜀山区", 340104),
    (_SOUTH, "福建省", "福建", "福州市", "鼓楼区", 350102),
    (_SOUTH, "福建省", "福建", "厦门市", "思明区", 350203),
    (_SOUTH, "江西省", "江西", "南昌市", "东湖区", 360102),
    (_SOUTH, "江西省", "江西", "南昌市", "青山湖区", 360111),
    (_SOUTH, "江西省", "江西", "赣州市", "章贡区", 360702),
    (_SOUTH, "湖北省", "湖北", "武汉市", "江岸区", 420102),
    (_SOUTH, "湖北省", "湖北", "武汉市", "武昌区", 420106),
    (_SOUTH, "湖南省", "湖南", "长沙市", "芙蓉区", 430102),
    (_SOUTH, "湖南省", "湖南", "长沙市", "岳麓区", 430104),
    (_SOUTH, "广东省", "广东", "广州市", "越秀区", 440104),
    (_SOUTH, "广东省", "广东", "广州市", "天河区", 440106),
    (_SOUTH, "广东省", "广东", "深圳市", "福田区", 440304),
    (_SOUTH, "广东省", "广东", "深圳市", "南山区", 440305),
    (_SOUTH, "广东省", "广东", "佛山市", "南海区", 440605),
    (_SOUTH, "海南省", "海南", "海口市", "龙华区", 460106),
    (_SOUTH, "重庆市", "重庆市", "", "渝中区", 500103),
    (_SOUTH, "重庆市", "重庆市", "", "江北区", 500105),
    (_SOUTH, "四川省", "四川", "成都市", "锦江区", 510104),
    (_SOUTH, "四川省", "四川", "成都市", "青羊区", 510105),
    (_SOUTH, "云南省", "云南", "昆明市", "五华区", 530102),
)

ROADS = tuple(
    f"{name}{suffix}"
    for name in (
        "人民 解放 建设 中山 和平 文化 新华 胜利 光明 长江 迎宾 学院 体育 朝阳 青年 友谊 团结 振兴 滨河 花园"
    ).split()
    for suffix in ("路", "东路", "西路", "南路", "北路", "大道", "街")
)
ESTATES = tuple(
    f"{first}{second}"
    for first in (
        "金色 阳光 翠湖 紫荆 桂花 锦绣 丽景 嘉和 恒信 春江 东方 盛世 云溪 书香 凤凰 海棠 银杏 明月 康桥 新城"
    ).split()
    for second in ("花园", "家园", "苑", "小区", "华庭", "新村", "名邸", "公寓")
)
VILLAGES = tuple(
    f"{first}{second}"
    for first in "王家 李家 陈家 张家 大桥 小河 石桥 上坪 下塘 前进 东风 红星 新民 双溪 三合 柳林".split()
    for second in ("村", "庄村", "湾村", "坝村")
)

# --- People: characters with their Pinyin ---------------------------------------------------------------------------

SURNAMES = tuple(
    pair.split(":")
    for pair in (
        "王:wang 李:li 张:zhang 刘:liu 陈:chen 杨:yang 黄:huang 赵:zhao 吴:wu 周:zhou 徐:xu 孙:sun 马:ma 朱:zhu "
        "胡:hu 郭:guo 何:he 林:lin 高:gao 罗:luo 郑:zheng 梁:liang 谢:xie 宋:song 唐:tang 许:xu 邓:deng 冯:feng "
        "韩:han 曹:cao 曾:zeng 彭:peng 萧:xiao 蔡:cai 潘:pan 田:tian 董:dong 袁:yuan 于:yu 余:yu 叶:ye 蒋:jiang "
        "杜:du 苏:su 魏:wei 程:cheng 吕:lv 丁:ding 沈:shen 任:ren 姚:yao 卢:lu 傅:fu 钟:zhong 姜:jiang 崔:cui "
        "谭:tan 廖:liao 范:fan 汪:wang 陆:lu 金:jin 石:shi 戴:dai 贾:jia 韦:wei 夏:xia 邱:qiu 方:fang 侯:hou "
        "邹:zou 熊:xiong 孟:meng 秦:qin 白:bai 江:jiang 阎:yan 薛:xue 尹:yin 段:duan 雷:lei 欧阳:ouyang"
    ).split()
)
GIVEN = tuple(
    pair.split(":")
    for pair in (
        "伟:wei 芳:fang 娜:na 敏:min 静:jing 丽:li 强:qiang 磊:lei 军:jun 洋:yang 勇:yong 艳:yan 杰:jie 娟:juan "
        "涛:tao 明:ming 超:chao 秀:xiu 霞:xia 平:ping 刚:gang 桂:gui 英:ying 华:hua 玉:yu 兰:lan 红:hong 梅:mei "
        "鑫:xin 宇:yu 浩:hao 然:ran 子:zi 轩:xuan 梓:zi 涵:han 欣:xin 怡:yi 思:si 雨:yu 晨:chen 嘉:jia 琪:qi "
        "俊:jun 峰:feng 建:jian 国:guo 志:zhi 文:wen 海:hai 波:bo 斌:bin 辉:hui 凯:kai 鹏:peng 飞:fei 燕:yan "
        "玲:ling 萍:ping 莉:li 婷:ting 雪:xue 颖:ying 佳:jia 慧:hui 倩:qian 云:yun 春:chun 林:lin 宁:ning 乐:le"
    ).split()
)

# The mailboxes do not exist: .example is reserved.
DOMAINS = ("qq.example", "163.example", "126.example", "sina.example", "foxmail.example", "139.example")
DOMAIN_SHARES = (0.45, 0.25, 0.1, 0.08, 0.07, 0.05)
PHONE_PREFIXES = tuple(
    int(prefix)
    for prefix in (
        "130 131 132 133 134 135 136 137 138 139 150 151 152 153 155 156 157 158 159 166 170 173 175 176 177 178 "
        "180 181 182 183 184 185 186 187 188 189 191 198 199"
    ).split()
)
SEGMENTS, SEGMENT_SHARES = ("大众", "理财", "财富", "私人银行"), (0.72, 0.19, 0.075, 0.015)
CARD_PREFIX = 620000  # 62: UnionPay; no bank is known to us under 620000
