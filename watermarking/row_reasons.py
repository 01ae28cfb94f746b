"""Why a sample row has its class: a code and a sentence in our own words, never a value."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from watermarking.distinct import coded
from watermarking.readings import I64
from watermarking.resolve import CLASSES, Resolved, RowClass
from watermarking.tokens import Field

CANARY = "R7: its values are those of a fictitious record of ours."
_WORDS = {
    "person_name": "name", "given_name": "given name", "surname": "surname", "national_id": "id number",
    "phone": "phone", "email": "e-mail", "card": "card", "account": "account", "address": "address",
    "birth_date": "birth date", "postcode": "postcode", "id": "number", "category": "category",
    "attribute": "attributes",
}  # fmt: skip


def reasons(resolved: Resolved, fields: Sequence[Field]) -> pa.Array:
    """One sentence a row, string[rows]; rows alike in class and fields have the same one."""
    code = _codes(resolved)
    alike = np.stack([code, resolved.agreed, resolved.differs, resolved.elsewhere])
    where, first = np.zeros(len(code), dtype=np.int64), np.zeros(0, dtype=np.int64)
    for one in alike:  # one column after another: much quicker than sorting rows of four
        values, _, number = coded(one)
        _, first, where = coded(where * len(values) + number)
    sentences = [_sentence(fields, *one) for one in alike[:, first].T.tolist()]
    return pa.array(sentences, pa.string()).take(pa.array(where))


def _codes(resolved: Resolved) -> I64:
    """1 held, 2 partial by masking, 3 partial by little, 4 altered, 5 recombined; 0, 6, 8, 9, 10 for unknown rows."""
    code = np.zeros(len(resolved.row_class), dtype=np.int64)
    unknown = resolved.row_class == CLASSES.index(RowClass.UNKNOWN)
    code[unknown] = 9
    code[unknown & (resolved.agreed != 0)] = 8
    code[unknown & ((resolved.elsewhere != 0) | (resolved.agreed != 0) & (resolved.differs != 0))] = 6
    code[(code == 9) & ~resolved.able] = 10
    code[unknown & (resolved.readable == 0)] = 0
    partial = resolved.row_class == CLASSES.index(RowClass.PARTIAL)
    code[partial] = np.where(resolved.hidden[partial], 2, 3)
    for name, number in ((RowClass.HELD, 1), (RowClass.ALTERED, 4), (RowClass.RECOMBINED, 5)):
        code[resolved.row_class == CLASSES.index(name)] = number
    return code


def _sentence(fields: Sequence[Field], code: int, agreed: int, differs: int, elsewhere: int) -> str:
    same, other = _listed(agreed, fields), _listed(differs & ~elsewhere, fields)
    if code == 1:
        return f"R1: every field that can be read is that of one record: {same}."
    if code == 2:
        return f"R2: what masks and pinyin show, and every other field, is that of one record: {same}."
    if code == 3:
        return f"R3: it agrees with one record as far as it can be read, in little: {same}."
    if code == 4:
        return f"R4: {same or 'what sounds alike'} of one record; {_listed(differs, fields)} differs."
    if code == 5:
        also = f"; {other} is nobody's" if other else ""
        return f"R5: {same} of one record, {_listed(differs & elsewhere, fields)} of another{also}."
    if code == 6:
        return f"R6: {_listed(elsewhere | agreed, fields)} is one of ours, but too much else is not."
    if code == 10:
        return "R10: too little can be read in it to find it, were it ours."
    if code == 8:
        return f"R8: {same} agrees with a record, in too little to say that it is the same person."
    return "R9: nothing in it is a record of ours." if code == 9 else "R0: nothing in it can be read as an identifier."


def _listed(mask: int, fields: Sequence[Field]) -> str:
    kinds = dict.fromkeys(_WORDS[f.kind] for n, f in enumerate(fields) if mask >> n & 1)
    return ", ".join(kinds)
