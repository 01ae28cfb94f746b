"""`tag --dry-run`: what a tag command would change, found without writing anything."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from pipeline.checks import check_columns, check_recipients, load_contract
from pipeline.files import chunks, describe, read_chunks
from pipeline.keystore import KeyStore
from watermarking.canaries import positions
from watermarking.embed import embed
from watermarking.fingerprint_code import code_word
from watermarking.issue import analyse
from watermarking.keys import IndexKey
from watermarking.selection import plan


def dry_run(source_path: Path, contract_path: Path, recipients: Sequence[str], keys: Path) -> dict[str, Any]:
    """What `tag` would do: cells that would change, canaries, drift of each column. Changes nothing.

    Drift of a marked column: by how much the share of symbol 1 of its carrier moves.
    """
    contract, _ = load_contract(contract_path)
    check_recipients(recipients)
    key = IndexKey(KeyStore(keys).index_key())
    source = describe(source_path)
    check_columns(source, contract)
    descriptors = chunks(source)
    rows, marks = sum(chunk.rows for chunk in descriptors), plan(contract, key)
    slots = positions(rows, contract.canary_density, np.random.default_rng(secrets.randbits(64)))
    word = code_word(secrets.token_bytes(32), marks.p)
    changed = dict.fromkeys((column.name for column in contract.columns), 0)
    pairs = 0
    ones = {marked.column.name: np.zeros(3) for marked in marks.columns}
    for _, table in read_chunks(descriptors):
        found = analyse(table, contract, marks, key)
        after, pairs = embed(table, found.sites, word), pairs + len(found.pairs.first)
        for marked, before, _ in found.sites.columns:
            name = marked.column.name
            changed[name] += pc.sum(pc.not_equal(table[name], after[name])).as_py() or 0
            now = marked.carrier.read(after[name].combine_chunks())
            ones[name] += ((before == 1).sum(), (now == 1).sum(), (before >= 0).sum())
    drift = {name: round(float((after - before) / max(sites, 1)), 4) for name, (before, after, sites) in ones.items()}
    return {
        "dry_run": True,
        "dataset": contract.dataset,
        "rows_in": rows,
        "rows_out": rows + len(slots),
        "canaries": len(slots),
        "marked_sites": int(sum(sites for _, _, sites in ones.values())) + pairs,
        "cells_changed": changed,
        "drift": {column.name: drift.get(column.name, 0.0) for column in contract.columns},
    }
