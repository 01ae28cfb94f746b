"""Spellings of addresses that people interchange: plain data, shared by the carriers and by normalising.

A pair is (first, second): a mark's symbol 0 and symbol 1. A *pattern* (RE2) finds the one place of a cell
that may be spelled either way; its group `s` spans the spelling, and what it asks of the surroundings is the
same for both spellings and for every spelling of the other sites. A *fold* is (pattern, replacement) and
brings all spellings to one; folds are applied in order to text after NFKC, case folding and trimming, and
before punctuation and white space are dropped (a hyphen between unit and room means something).

The Chinese forms are those of daily use; the English ones are the street suffixes and unit designators of
USPS Publication 28, appendices C1 and C2.
"""

import re

Pairs = tuple[tuple[str, str], ...]

DIGIT = "[0-9０-９]"  # half- and full-width digits
NUMERALS_ZH = "一二三四五六七八九十"
_NUMERAL = f"[0-9０-９{NUMERALS_ZH}]"


def han_without(excluded: str) -> str:
    """A character class (RE2) of the unified Han characters but for `excluded`."""
    ranges, first = [], 0x4E00
    for point in [*sorted(ord(character) for character in excluded), 0xA000]:
        if first < point:
            ranges.append(f"{chr(first)}-{chr(point - 1)}")
        first = point + 1
    return f"[{''.join(ranges)}]"


# --- Chinese ---------------------------------------------------------------------------------------------

_SHENG = (
    *("河北", "山西", "辽宁", "吉林", "黑龙江", "江苏", "浙江", "安徽", "福建", "江西", "山东"),
    *("河南", "湖北", "湖南", "广东", "海南", "四川", "贵州", "云南", "陕西", "甘肃", "青海"),
)
PROVINCES: Pairs = (
    *((f"{name}省", name) for name in _SHENG),
    ("内蒙古自治区", "内蒙古"),
    ("广西壮族自治区", "广西"),
    ("西藏自治区", "西藏"),
    ("宁夏回族自治区", "宁夏"),
    ("新疆维吾尔自治区", "新疆"),
)
MUNICIPALITIES: Pairs = tuple((f"{name}市", name) for name in ("北京", "上海", "天津", "重庆"))
# A site has two spellings, so a column uses one of these pairs; the third spelling is then no site.
BUILDINGS: Pairs = (("号楼", "栋"), ("号楼", "幢"))
UNITS: Pairs = (("单元", "-"), ("单元", "－"))  # a full-width hyphen is read, never written
ROOMS: Pairs = (("室", ""),)

# A road that is named after a province (浙江路) is none: no word of a road may stand before the city's
# suffix, nor a building, whose spelling is a site of its own. 海南藏族自治州 is a prefecture of Qinghai, not
# a place in Hainan; 自 壮 回 维 begin the suffixes of the long names.
_ROADS = "省市县区路街道巷弄号栋幢"
_CITY = f"{han_without(_ROADS + '州盟地藏自壮回维')}{han_without(_ROADS + '州盟地')}*(?:市|州|盟|地区)"
_DISTRICT = f"{han_without(_ROADS + '自壮回维')}{han_without(_ROADS)}{{0,4}}(?:区|县)"
BUILDINGS_ZH = ("号楼", "栋", "幢", "座")
BEFORE_ROOM = tuple("号楼层栋幢座")
_BUILDING = f"(?:{'|'.join(BUILDINGS_ZH)})"


def _any(words: tuple[str, ...]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def _both(pairs: Pairs) -> str:
    return _any(tuple(dict.fromkeys(word for pair in pairs for word in pair)))


_SHORT = _any(tuple(short for _, short in (*PROVINCES, *MUNICIPALITIES)))
ZH_PATTERNS: dict[str, str] = {
    "province": f"^(?P<s>(?:{_SHORT})(?:省|市|(?:壮族|回族|维吾尔)?自治区)?)",  # 浙江省杭州市 / 浙江杭州市
    "building": f"{_NUMERAL}(?P<s>号楼|栋)",  # 5号楼 / 5栋, or as BUILDING_PATTERNS
    "unit": f"{_BUILDING}{DIGIT}{{1,2}}(?P<s>单元|-|－){DIGIT}{{3,4}}室?$",  # 2单元302 / 2-302
    "room": (  # 302室 / 302, where nothing but a room can follow
        f"(?:{'|'.join(BEFORE_ROOM)}|单元|{_BUILDING}{DIGIT}{{1,2}}[-－]){DIGIT}{{3,4}}(?P<s>室?)$"
    ),
}
BUILDING_PATTERNS: dict[str, str] = {second: f"{_NUMERAL}(?P<s>{first}|{second})" for first, second in BUILDINGS}
# What must hold besides; kept apart because a match without a group is ten times as fast.
ZH_GUARDS: dict[str, str] = {
    "province": f"^(?:(?:{_both(PROVINCES)}){_CITY}|(?:{_both(MUNICIPALITIES)}){_DISTRICT})",
}

_OF_SHENG = _any(_SHENG)
_OF_SHI = _any(tuple(short for _, short in MUNICIPALITIES))
ZH_FOLDS: Pairs = (
    (
        f"^(?:({_OF_SHENG})省|({_OF_SHI})市|(内蒙古|西藏)自治区|(广西)壮族自治区|(宁夏)回族自治区|(新疆)维吾尔自治区)",
        r"\1\2\3\4\5\6",
    ),
    (f"({_NUMERAL})(?:栋|幢)", r"\1号楼"),
    (f"({_BUILDING}{DIGIT}{{1,2}})-({DIGIT}{{3,4}}室?)$", r"\1单元\2"),
    (f"((?:{'|'.join(BEFORE_ROOM)}|单元){DIGIT}{{3,4}})室$", r"\1"),
)

# How many characters from a cell's first on the fold of a province, and the place of its spelling, can depend on.
PROVINCE_REACH = max(len(short) for _, short in (*PROVINCES, *MUNICIPALITIES)) + len("维吾尔自治区")

# --- English ---------------------------------------------------------------------------------------------

STREETS: Pairs = (
    ("Street", "St"),
    ("Road", "Rd"),
    ("Avenue", "Ave"),
    ("Boulevard", "Blvd"),
    ("Drive", "Dr"),
    ("Lane", "Ln"),
    ("Court", "Ct"),
    ("Place", "Pl"),
    ("Square", "Sq"),
    ("Terrace", "Ter"),
    ("Parkway", "Pkwy"),
    ("Highway", "Hwy"),
    ("Circle", "Cir"),
)
DOORS: Pairs = (("Apartment", "Apt"), ("Suite", "Ste"), ("Building", "Bldg"))

LATIN = "[a-z]{2}"  # cells without it need none of the English folds
EN_FOLDS: Pairs = tuple((rf"\b{long}\b", short) for long, short in ((a.lower(), b.lower()) for a, b in STREETS + DOORS))

# --- all -------------------------------------------------------------------------------------------------

ADDRESS_EN: Pairs = (*STREETS, *DOORS)

# White space and punctuation that normalising drops: label, pattern, pairs.
_SHORT_STREETS = _any(tuple(short for _, short in STREETS))
SPACING: tuple[tuple[str, str, Pairs], ...] = (
    ("comma", "[A-Za-z.](?P<s>, |,)[A-Za-z]", ((", ", ","),)),
    ("dot", rf"[A-Za-z] (?:{_SHORT_STREETS})(?P<s>\.?)(?:,|$)", (("", "."),)),
    ("district", f"^{han_without('区县')}{{3,}}(?:区|县)(?P<s> ?){han_without('区县')}", (("", " "),)),
)
