"""Misspelt records resolved through the registry: 22,101 rows of historical_people_misspelt to 5,156 people.

python -m benchmarks.misspelt

Bound: precision at least 0.999 at recall at least 0.78. Splink 5.0.0, which reads the plaintext, has 0.9989 and
0.740. `person_id` of the sample is the truth; the program does not see it.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from benchmarks.office import Office, machine
from pipeline.files import chunks, describe, read_chunk
from pipeline.keystore import KeyStore
from schemas.contract import Contract, parse
from watermarking.keys import IndexKey
from watermarking.tokens import normal_forms, records_of

_DATA = Path(__file__).parents[1] / "examples" / "data"
_PRECISION, _RECALL = 0.999, 0.78


def main() -> None:
    """Register the people, trace the misspelt rows, compare each row's record with the truth."""
    print(machine())
    people, misspelt = _DATA / "historical_people.parquet", pq.read_table(_DATA / "historical_people_misspelt.parquet")
    with tempfile.TemporaryDirectory(prefix="leaktrace-bench-") as name:
        office = Office(Path(name))
        contract = office.folder / "people.yaml"
        sample, case = office.folder / "misspelt.csv", office.folder / "case"
        office.leaktrace("contract", "infer", people, "-o", contract)
        office.leaktrace("register", people, "--contract", contract, "--recipient", "E1001", "--purpose", "benchmark")
        pa_csv.write_csv(misspelt.drop_columns(["person_id"]), sample)
        run = office.leaktrace("trace", sample, "-o", case)
        truth = _truth(people, parse(contract.read_bytes(), contract.name), office.folder / "keys", misspelt)
        found = pq.read_table(case / "rows.parquet").sort_by("row")["record"]
    resolved = found.is_valid().to_numpy()
    right = int((found.fill_null(0).to_numpy() == truth)[resolved].sum())
    precision, recall = right / max(int(resolved.sum()), 1), right / len(truth)
    print(f"{resolved.sum():,} of {len(truth):,} rows resolved, {right:,} of them right, in {run.wall:.1f} s")
    held = precision >= _PRECISION and recall >= _RECALL
    print(f"precision {precision:.4f}, recall {recall:.4f}: {'bound held' if held else 'BOUND BROKEN: 0.999, 0.78'}")
    sys.exit(not held)


def _truth(people: Path, contract: Contract, keys: Path, misspelt: pa.Table) -> np.ndarray:
    """The record of the person that each misspelt row is about; uint64[rows]."""
    tables = [read_chunk(chunk) for chunk in chunks(describe(people))]
    table = pa.concat_tables(tables)
    records = records_of(normal_forms(table, contract), contract, IndexKey(KeyStore(keys).index_key()))
    number = dict(zip(table["person_id"].to_pylist(), records.tolist(), strict=True))
    return np.array([number[p] for p in misspelt["person_id"].to_pylist()], dtype=np.uint64)


if __name__ == "__main__":
    main()
