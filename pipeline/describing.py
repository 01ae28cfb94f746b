"""What the index is asked of rows of tables without identifiers: how common each token is, then who has the rare ones.

A row's attributes are compared with all that few versions share any of (watermarking/described.py). Each of the three
questions is one pass over the tokens, and none makes a line for a row. What a version has in common with others, a row
tells that agrees with it in the token of all attributes together (decision 0240); the rest of the versions are asked
for.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.asking import token_table
from pipeline.index import IndexFiles
from schemas.contract import Contract
from watermarking.described import BoolArray, Described, codes_of
from watermarking.keys import U64
from watermarking.readings import I64
from watermarking.tokens import BUDGET, TokenColumn, TokenKind

_ASKED = ["token", "kind"]


def described_of(tokens: Sequence[TokenColumn], contracts: Sequence[Contract | None], index: IndexFiles) -> Described:
    """What the registry knows of a sample's tokens in some datasets; contracts: by code, None where not looked for."""
    asked = token_table(tokens)
    often = index.frequencies(asked.select(_ASKED)).sort_by("token")
    token, frequency = often["token"].to_numpy(), often["frequency"].to_numpy()
    finds = frequency <= asked["most"].to_numpy()[np.searchsorted(asked["token"].to_numpy(), token)]
    rare = index.lines(often.filter(pa.array(finds)).select(_ASKED))
    version, record, dataset = _versions(rare, contracts)
    order = np.argsort(version)
    line_token, its = _places(rare, token, version, order)
    code = [codes_of(token, column) for column in tokens]
    told, told_token, told_version = _told(tokens, code, len(token), line_token, its)
    rest = np.ones(len(version), dtype=bool)
    rest[told_version] = False
    common = [
        _places(index.have(often.filter(pa.array(some)).select(_ASKED), pa.array(whose)), token, version, order)
        for some, whose in ((~finds & told, version[rest]), (~finds & ~told, version))
        if some.any() and len(whose)
    ]
    shared = ~finds[told_token]
    lines = [(line_token, its), (told_token[shared], told_version[shared]), *common]
    line_token, its = (np.concatenate(part) for part in zip(*lines, strict=True))
    return Described(token, frequency, finds, version, record, dataset, line_token, its, code)


def _told(
    columns: Sequence[TokenColumn], code: Sequence[I64], tokens: int, line_token: I64, line_version: I64
) -> tuple[BoolArray, I64, I64]:
    """What versions have as rows show it that have all attributes of them but the most marked one.

    code: of the columns. Which tokens are told so, bool[tokens]; and places of a token and of a version that has it,
    int64[n] each.
    """
    told, pairs = np.zeros(tokens, dtype=bool), [(np.zeros(0, dtype=np.int64),) * 2]
    for column, whole in zip(columns, code, strict=True):
        if column.kind != TokenKind.ATTRIBUTES or len(column.fields) + 2 > BUDGET:  # a version lacks what goes beyond
            continue
        row = np.full(tokens + 1, -1, dtype=np.int64)
        row[whole] = np.arange(len(whole))  # any of those that have it
        row[-1] = -1  # where nobody has it
        mine = np.flatnonzero(row[line_token] >= 0)
        shown, its = row[line_token[mine]], line_version[mine]
        for single, place in zip(columns, code, strict=True):
            if single.kind == TokenKind.ATTRIBUTE and single.whole and single.fields[0] in column.fields:
                told[place[place >= 0]] = True
                there = place[shown] >= 0
                pairs.append((place[shown][there], its[there]))
    token, version = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return told, token, version


def _places(lines: pa.Table, token: U64, version: U64, order: I64) -> tuple[I64, I64]:
    """Lines (token, version) as places of both, those of other versions left out; order: of the versions, sorted."""
    if not len(order):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    wanted = lines["version"].to_numpy()
    place = order[np.minimum(np.searchsorted(version, wanted, sorter=order), len(order) - 1)]
    mine = version[place] == wanted
    return np.searchsorted(token, lines["token"].to_numpy())[mine], place[mine]


def _versions(lines: pa.Table, contracts: Sequence[Contract | None]) -> tuple[U64, U64, I64]:
    """Those of the versions that are of these datasets, with records and codes of datasets, by dataset and version."""
    version, first = np.unique(lines["version"].to_numpy(), return_index=True)
    names = pa.array([contract.dataset if contract else "" for contract in contracts], pa.string())
    code = pc.fill_null(pc.index_in(lines["dataset"].take(pa.array(first)), names), -1).to_numpy().astype(np.int64)
    order = np.argsort(code, kind="stable")
    order = order[code[order] >= 0]
    return version[order], lines["record"].to_numpy()[first][order], code[order]
