"""What the index is asked of rows of tables without identifiers: how common each token is, then who has the rare ones.

A row's attributes are compared with all that few versions share any of (watermarking/described.py). Each of the three
questions is one pass over the tokens, and none makes a line for a row.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.asking import token_table
from pipeline.index import IndexFiles
from schemas.contract import Contract
from watermarking.described import Described
from watermarking.tokens import TokenColumn


def described_of(tokens: Sequence[TokenColumn], contracts: Sequence[Contract | None], index: IndexFiles) -> Described:
    """What the registry knows of a sample's tokens in some datasets; contracts: by code, None where not looked for."""
    asked = token_table(tokens)
    often = index.frequencies(asked.select(["token", "kind"])).sort_by("token")
    token, frequency = often["token"].to_numpy(), often["frequency"].to_numpy()
    finds = frequency <= asked["most"].to_numpy()[np.searchsorted(asked["token"].to_numpy(), token)]
    rare = index.lines(often.filter(pa.array(finds)).select(["token", "kind"]))
    version, record, dataset = _versions(rare, contracts)
    common = index.have(often.filter(pa.array(~finds)).select(["token", "kind"]), pa.array(version))
    lines = pa.concat_tables([rare.select(["token", "version"]), common])
    order = np.argsort(version)
    place = np.searchsorted(version[order], lines["version"].to_numpy())
    its = order[np.minimum(place, len(order) - 1)] if len(order) else place
    mine = version[its] == lines["version"].to_numpy() if len(order) else np.zeros(len(place), dtype=bool)
    line_token = np.searchsorted(token, lines["token"].to_numpy())
    return Described(token, frequency, finds, version, record, dataset, line_token[mine], its[mine])


def _versions(lines: pa.Table, contracts: Sequence[Contract | None]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Those of the versions that are of these datasets, with records and codes of datasets, by dataset and version."""
    version, first = np.unique(lines["version"].to_numpy(), return_index=True)
    names = pa.array([contract.dataset if contract else "" for contract in contracts], pa.string())
    code = pc.fill_null(pc.index_in(lines["dataset"].take(pa.array(first)), names), -1).to_numpy().astype(np.int64)
    order = np.argsort(code, kind="stable")
    order = order[code[order] >= 0]
    return version[order], lines["record"].to_numpy()[first][order], code[order]
