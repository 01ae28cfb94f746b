"""Words by which columns are recognised: names of people, headers, and what stands in an address.

Short lists of the commonest, not registers: a column counts as names when a fair share of its cells is
known, so rare names need not be here. Chinese surnames: the hundred commonest of the 2020 census report of
the Ministry of Public Security, and the usual compound ones; English given names and surnames: the commonest
of the US Social Security and 2010 census lists, and of British lists of the nineteenth century.
"""

from collections.abc import Mapping, Sequence


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SURNAMES_ZH = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任姚卢傅钟姜崔谭廖范汪陆金石"
    "戴贾韦夏邱方侯邹熊孟秦白江阎薛尹段雷黎史龙陶贺顾毛郝龚邵万钱严武莫孔向常汤康易乔赖文肖闫季施牛洪尤樊柳"
)
SURNAMES_ZH_LONG = "欧阳|司马|上官|诸葛|皇甫|东方|尉迟|公孙|慕容|令狐|夏侯|司徒|端木|南宫|长孙|宇文"

GIVEN_NAMES = _words(
    """aaron abigail abraham adam adrian agnes alan albert alexander alexandra alfred alice alison allan amanda
    amelia amy andrea andrew angela ann anna anne annie anthony archibald arnold arthur ashley augustus barbara
    benjamin bernard betty beverly bradley brandon brenda brian bruce bryan carl carol caroline catherine cecil
    charles charlotte cheryl christina christine christopher clara claire clarence claude clive colin constance
    craig cynthia cyril daisy daniel david deborah denis dennis derek diana diane donald donna dorothy douglas
    duncan dylan edgar edith edmund edward edwin eleanor elizabeth ella ellen elsie emily emma eric ernest ethan
    ethel eugene evelyn fiona florence frances francis frank fred frederic frederick gary geoffrey george gerald
    gilbert gladys gordon grace graham gregory guy hannah harold harriet harry heather helen henry herbert horace
    howard hubert hugh humphrey ian irene isaac isabel isabella jack jacob jacqueline james jane janet janice jason
    jean jeffrey jennifer jeremy jessica joan john jonathan jordan joseph joshua joyce juan judith julia julian
    julie justin karen katherine kathleen keith kelly kenneth kevin kimberly kyle larry laura lauren lawrence leonard
    leslie lewis lilian linda lionel lisa louis louisa louise lucas lucy luke mabel malcolm margaret maria marie
    marilyn mark martha martin mary matilda matthew maud maurice megan melissa michael michelle mildred nancy
    natalie nathan neil nicholas nicole nigel noah nora norman oliver olivia oscar owen pamela patricia patrick
    paul pauline percy peter philip phillip rachel ralph raymond rebecca reginald richard robert robin roger
    roland ronald rosemary roy rupert russell ruth ryan samantha samuel sandra sarah scott sean sharon shirley
    sidney simon sophia sophie stanley stephanie stephen steven stuart susan sydney sylvia teresa theodore theresa
    thomas timothy tyler victor victoria vincent violet virginia vivian walter wayne wilfred william winifred
    zachary zoe"""
)
SURNAMES = _words(
    """adams alexander allen anderson andrews armstrong arnold atkinson bailey baker ball barker barnes bell bennett
    berry bishop black bradley brooks brown bryant burgess burns burton butler cameron campbell carpenter carr
    carter chambers chapman clark clarke cole coleman collins cook cooper cox crawford cross cunningham davies
    davis dawson day dean dixon dunn edwards elliott ellis evans fisher fleming fletcher ford foster fox fraser
    freeman garcia gardner gibson gill gordon graham grant gray green griffiths hall hamilton harding harper harris
    harrison hart harvey hawkins henderson henry hicks hill holland holmes howard hudson hughes hunt hunter
    jackson james jenkins johnson johnston jones kelly kennedy king knight lane lawrence lawson lee lewis lloyd
    long lopez macdonald marshall martin martinez mason matthews mcdonald miller mills mitchell moore morgan
    morris morrison murphy murray nelson newman nicholson owen palmer parker parsons patel patterson pearce
    perkins perry peters phillips pierce porter powell price reid reynolds rice richards richardson roberts
    robertson robinson rodriguez rogers rose ross russell ryan sanders saunders scott shaw simmons simpson smith
    spencer stephens stevens stewart stone sullivan sutton taylor thomas thompson thomson tucker turner wagner
    walker wallace walsh ward warren washington watkins watson watts webb wells west wheeler white wilkinson
    williams williamson willis wilson wood woods wright young"""
)

# Usual short forms of English given names, by the name they stand for.
_SHORT_FORMS = """
    abigail:abby alexander:alec,alex,alick,sandy,sander albert:bert,bertie alfred:alf,fred,freddie,alfie amelia:millie
    andrew:andy,drew ann:annie,nan,nancy,nanny anthony:tony antony:tony archibald:archie arthur:art,artie
    augustus:gus barbara:babs,barb benjamin:ben,benny,benjie catherine:cathy,kate,kitty,cath,katie,kath
    charles:charlie,charley,chas,chuck charlotte:lottie christopher:chris,kit clement:clem cornelius:neil,con
    daniel:dan,danny david:dave,davy,davie donald:don,donnie dorothy:dot,dolly,dottie douglas:doug
    edgar:ed edmund:ned,ted,eddie edward:ed,eddie,ned,ted,teddy edwin:ed,ned eleanor:nell,nellie,ellie,nora
    elizabeth:bess,bessie,beth,betsy,betty,eliza,elsie,libby,lizzie,liz,lily,lisa ellen:nell,nellie emily:emmie
    ernest:ernie eugene:gene evelyn:evie florence:flo,florrie,flossie frances:fanny,fran,frankie francis:frank,frankie
    frederick:fred,freddie,freddy,fritz geoffrey:geoff,jeff george:georgie,dod gerald:gerry,jerry gilbert:gil,bert
    gregory:greg harold:hal,harry helen:nell,nellie,lena henrietta:etta,hettie henry:hal,hank,harry
    herbert:bert,herb,bertie horace:horry hubert:bert,hugh hugh:hughie humphrey:humph isaac:ike isabella:bella,isa,izzy
    jacob:jake,jack james:jim,jimmy,jamie,jem jane:janey,jenny,jennie jeremiah:jerry jessica:jess,jessie
    joan:joanie john:jack,johnny,jock,jon jonathan:jon,jonny joseph:joe,joey,jos josephine:jo,josie joshua:josh
    judith:judy katherine:kate,kathy,kitty,katie,kay,kath kenneth:ken,kenny lawrence:larry,laurie leonard:len,lenny
    leopold:leo lewis:lew,lou louis:lou,louie louisa:lou,lulu lucas:luke lucy:lu magdalene:lena
    margaret:daisy,greta,madge,maggie,meg,peg,peggy,maisie,rita,may martha:mattie,patty martin:marty
    mary:molly,polly,mae,may,mamie,moll matilda:matty,tilda,tilly matthew:matt maurice:morris,moe maximilian:max
    michael:mick,mickey,mike,mikey mildred:millie nathaniel:nat,nate,nathan nicholas:nick,nicky norman:norm
    oliver:ollie,noll oswald:ozzie,oz pamela:pam patricia:pat,patty,trish patrick:pat,paddy,rick penelope:penny
    percival:percy peter:pete philip:phil,pip raymond:ray rebecca:becky reginald:reg,reggie,rex
    richard:dick,dickie,rich,rick,ricky robert:bob,bobby,rob,robbie,rab,bert,robin roderick:rod,roddy roger:rodge
    roland:rollo,rolly ronald:ron,ronnie rosemary:rosie rudolph:ralph,rolf,rudy rupert:rupe samuel:sam,sammy
    sarah:sadie,sally sebastian:seb sidney:sid simon:si solomon:sol sophia:sophie stanley:stan
    stephen:steve,stevie,steph steven:steve stuart:stu susan:sue,susie,suky suzanne:sue theodore:ted,teddy,theo
    theresa:tess,tessie,terry thomas:tom,tommy timothy:tim,timmy valentine:val victor:vic,vick victoria:vicky,vick
    vincent:vin,vince,vinny virginia:ginny walter:wally,walt,wat wilfred:wilf,fred wilhelmina:mina,minnie
    william:bill,billy,will,willie,willy,liam winifred:freda,winnie,fred zachary:zach
"""
NICKNAMES: Mapping[str, str] = {
    short: name
    for name, shorts in reversed([entry.split(":") for entry in _SHORT_FORMS.split()])
    for short in shorts.split(",")
}

# A header that holds one of these hints at a kind; the first that fits counts. Headers are taken in lower case
# with words set apart by single spaces.
HEADERS: Sequence[tuple[str, str]] = (
    ("email", r"e ?mail|\bmail\b|邮箱|电子邮件|邮件"),
    ("phone", r"phone|mobile|\btel\b|telephone|\bcell\b|手机|电话|联系方式|联系号码"),
    ("birth_date", r"birth ?da(?:te|y)|\bbirth$|\bdob\b|\bborn\b|date of birth|出生|生日"),
    ("category", r"birth ?place|place of birth|nationality|native|country|gender|\bsex\b|province|性别|民族|籍贯|国籍"),
    ("national_id", r"national (?:id|insurance)|\bid ?(?:card|number)\b|\bssn\b|\bnino\b|passport|身份证|证件号|护照"),
    ("card", r"\bcard\b|\bpan\b|bank ?card|银行卡|卡号"),
    ("postcode", r"post ?code|\bzip\b|zip ?code|postal|邮编|邮政编码"),
    ("address", r"address|\baddr\b|street|residence|住址|地址|住所"),
    ("given_name", r"(?:given|first|fore) ?name|\bforename\b|^名$"),
    ("surname", r"sur ?name|(?:last|family) ?name|^姓$|姓氏"),
    ("timestamp", r"time|\bat$|时间|时刻"),
    ("date", r"\bdate\b|\bday\b|日期"),
    ("amount", r"amount|balance|salary|income$|price|cost|\bfee\b|limit|turnover|金额|余额|工资|额度|价格|费用"),
    (
        "person_name",
        r"(?:full|person|customer|client|contact|holder|user) ?name|^name$|holder|姓名|名字|户名|客户名|联系人",
    ),
    ("account", r"account|\bacct\b|\biban\b|账号|账户|帐号|(?<!客)户号"),
    ("id", r"\bids?\b|\bno\b|number|\bcode\b|\bkey\b|\buuid\b|\bcustomer\b|编号|客户号|工号|流水号|序号"),
    ("category", r"type|status|class|category|level|grade|occupation|job|类型|类别|状态|等级|职业"),
    ("text", r"remark|note|comment|description|memo|备注|说明|描述"),
)
EXCLUSIVE_HEADERS = r"customer|client|account|acct|member|cust\b|subscriber|policy|客户|账户|账号|帐号|会员|户号"

SURNAMES_PINYIN = _words(
    """wang li zhang liu chen yang huang zhao wu zhou xu sun ma zhu hu guo he gao lin luo zheng liang xie song tang
    deng han feng cao peng zeng xiao tian dong pan yuan cai jiang yu du ye cheng wei su lu ding ren yao shen zhong
    cui tan liao fan jin shi dai jia xia fang hou qiu zou xiong meng qin bai yan xue lei duan tao gu mao hao gong
    shao wan qian kong"""
)

STREET_WORDS = _words(
    "street st road rd avenue ave boulevard blvd drive dr lane ln court ct place pl square sq terrace ter "
    "parkway pkwy highway hwy circle cir crescent close way row gardens grove mews hill park apartment apt flat "
    "suite unit floor"
)
