"""Names and places for canaries, by locale.

From Faker's providers where it has good ones; drawn with our own generator, so that the largest probability
of each value is known.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from faker.providers.address.en_GB import Provider as AddressGb
from faker.providers.address.en_US import Provider as AddressUs
from faker.providers.person.en_GB import Provider as PersonGb
from faker.providers.person.en_US import Provider as PersonUs
from faker.providers.person.zh_CN import Provider as PersonZh

# Counties and districts with their codes of GB/T 2260 and telephone-free place names.
REGIONS_ZH: tuple[tuple[str, str], ...] = (
    ("110105", "北京市朝阳区"), ("110108", "北京市海淀区"), ("310104", "上海市徐汇区"), ("310115", "上海市浦东新区"),
    ("320102", "江苏省南京市玄武区"), ("320508", "江苏省苏州市姑苏区"), ("330106", "浙江省杭州市西湖区"),
    ("330203", "浙江省宁波市海曙区"), ("340104", "安徽省合肥市蜀山区"), ("350203", "福建省厦门市思明区"),
    ("370102", "山东省济南市历下区"), ("370202", "山东省青岛市市南区"), ("410105", "河南省郑州市金水区"),
    ("420106", "湖北省武汉市武昌区"), ("430102", "湖南省长沙市芙蓉区"), ("440106", "广东省广州市天河区"),
    ("440305", "广东省深圳市南山区"), ("500103", "重庆市渝中区"), ("510104", "四川省成都市锦江区"),
    ("610113", "陕西省西安市雁塔区"),
)  # fmt: skip
ROADS_ZH = (
    "人民路",
    "中山路",
    "解放路",
    "建设路",
    "和平路",
    "文化路",
    "新华路",
    "长江路",
    "学院路",
    "文三路",
    "青年路",
    "南京路",
)
MOBILE_PREFIXES_ZH = tuple(
    "134 135 136 137 138 139 150 151 152 157 158 159 182 183 187 188 130 131 132 155 156 185 186 133 153 180 189".split()
)
ROMAN_GIVEN = (
    "wei",
    "fang",
    "na",
    "min",
    "jing",
    "li",
    "qiang",
    "lei",
    "jun",
    "yang",
    "yong",
    "yan",
    "jie",
    "tao",
    "ming",
    "chao",
    "hui",
    "ping",
)
ROMAN_SURNAMES = (
    "wang",
    "li",
    "zhang",
    "liu",
    "chen",
    "yang",
    "zhao",
    "huang",
    "zhou",
    "wu",
    "xu",
    "sun",
    "hu",
    "zhu",
    "gao",
    "lin",
    "he",
    "guo",
    "ma",
    "luo",
)
RESERVED_DOMAINS = ("example.com", "example.net", "example.org")


@dataclass(frozen=True)
class Names:
    """Surnames and given names with their probabilities (float64, summing to 1)."""

    surnames: Sequence[str]
    surname_weights: np.ndarray
    female: Sequence[str]
    male: Sequence[str]


@cache
def names_of(locale: str) -> Names:
    """The names of a locale; zh_CN, en_US or en_GB."""
    provider: Any = {"zh_CN": PersonZh, "en_US": PersonUs, "en_GB": PersonGb}[locale]
    last = provider.last_names
    weights = np.array(list(last.values()) if isinstance(last, Mapping | OrderedDict) else [1.0] * len(last), float)
    return Names(
        tuple(last), weights / weights.sum(), tuple(provider.first_names_female), tuple(provider.first_names_male)
    )


@cache
def streets_of(locale: str) -> tuple[str, ...]:
    """Street suffixes of an English locale."""
    provider = {"en_US": AddressUs, "en_GB": AddressGb}[locale]
    return tuple(suffix for suffix in provider.street_suffixes if suffix[:1].isupper())


CITIES: Mapping[str, tuple[str, ...]] = {
    "en_GB": ("London", "Leeds", "Bristol", "Sheffield", "Manchester", "Norwich", "York", "Exeter", "Derby", "Oxford"),
    "en_US": ("Springfield, IL", "Portland, OR", "Columbus, OH", "Austin, TX", "Albany, NY", "Salem, MA", "Dover, DE"),
}
POSTCODE_AREAS = ("ls", "bs", "s", "m", "nr", "yo", "ex", "de", "ox", "b", "cf", "eh")
