"""Words by which people label a column, and the kind that each suggests."""

import re
from collections.abc import Mapping

from watermarking.detect import hint_of
from watermarking.simplified import simplified_text

VALUE = re.compile(
    r"\d{5,}|@|\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}|\d\.\d+[eE]\+?\d|\*{2,}|\d{3}[- ]\d{3,4}[- ]\d{4}|^-?\d+([.,]\d+)*$"
)

LABELS: Mapping[str, str] = {
    "姓名": "person_name", "名字": "person_name", "客户姓名": "person_name", "户名": "person_name",
    "客户名称": "person_name", "联系人": "person_name", "身份证": "national_id", "身份证号": "national_id",
    "身份证号码": "national_id", "证件号": "national_id", "证件号码": "national_id", "手机": "phone", "手机号": "phone",
    "手机号码": "phone", "电话": "phone", "联系电话": "phone", "电话号码": "phone", "邮箱": "email", "电子邮箱": "email",
    "邮件": "email", "卡号": "card", "银行卡": "card", "银行卡号": "card", "账号": "account", "帐号": "account",
    "账户": "account", "地址": "address", "住址": "address", "家庭住址": "address", "联系地址": "address",
    "通讯地址": "address", "邮编": "postcode", "出生日期": "birth_date", "生日": "birth_date", "余额": "amount",
    "存款余额": "amount", "金额": "amount", "额度": "amount", "信用额度": "amount", "客户号": "id", "客户编号": "id", "编号": "id",
    "开户时间": "timestamp", "开户日期": "timestamp", "网点": "category", "支行": "category", "性别": "category",
    "联络人": "person_name", "身分证": "national_id", "身分证字号": "national_id", "联络电话": "phone",
    "电子邮件": "email", "信箱": "email", "帐户": "account", "联络地址": "address", "邮递区号": "postcode",
    "name": "person_name", "full name": "person_name", "customer": "person_name", "customer name": "person_name",
    "first name": "given_name", "given name": "given_name", "last name": "surname", "surname": "surname",
    "family name": "surname", "phone": "phone", "mobile": "phone", "tel": "phone", "telephone": "phone", "cell": "phone",
    "email": "email", "e-mail": "email", "mail": "email", "address": "address", "street": "address",
    "postcode": "postcode", "zip": "postcode", "post code": "postcode", "dob": "birth_date", "born": "birth_date",
    "date of birth": "birth_date", "birth date": "birth_date", "card": "card", "card no": "card", "card number": "card",
    "account": "account", "account no": "account", "iban": "account", "id": "id", "customer no": "id",
    "national id": "national_id", "id number": "national_id", "id card": "national_id", "ssn": "national_id",
    "balance": "amount", "limit": "amount", "credit limit": "amount", "gender": "category", "sex": "category",
    "occupation": "category", "job": "category",
}  # fmt: skip


def kind_of(label: str) -> str:
    """The kind that a label suggests, or an empty string; in traditional characters as in simplified ones."""
    return LABELS.get(" ".join(simplified_text(label).replace("_", " ").casefold().split()), "")


def is_label(cell: str) -> bool:
    """Whether a cell looks like the name of a column: a known one, or a short one that speaks of a kind."""
    return bool(kind_of(cell)) or (len(cell) <= 24 and not VALUE.search(cell) and hint_of(cell) is not None)
