"""Can canaries be told from real rows? A classifier is trained to do it on the exported columns.

    python -m benchmarks.detecting_canaries

Two learners of different make, each by five-fold cross-validation; the better AUC of the two counts. One sees the
characters (n-grams of every cell), the other what an analyst would compute: lengths, prefixes, digits by place, dates,
categories, how often a value occurs, and what columns say together (age and amount, id and address, name and mailbox).
Its power is shown on canaries as a first attempt makes them.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from anyascii import anyascii
from scipy.sparse import hstack
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from examples import bank_table
from pipeline.inference import infer
from schemas.contract import Contract, parse
from watermarking.canaries import Profile, generate

BAR = 0.60
_FOLDS = 5
_CLASSES = 250


def bank(rows: int, seed: int) -> tuple[Contract, pa.Table]:
    """The bank's table and its contract, as inferred."""
    table = bank_table.generate(rows, seed)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bank.parquet"
        pq.write_table(table, path)
        return parse(infer(path).encode(), "bank.yaml"), table


def canaries_of(contract: Contract, table: pa.Table, count: int, seed: int) -> pa.Table:
    """Canaries as tagging makes them: after 5,000 rows spread over the table, none of them in it."""
    profile = table.take(np.linspace(0, table.num_rows - 1, min(5_000, table.num_rows), dtype=np.int64))

    def taken(kind: str, values: pa.Array) -> npt.NDArray[np.bool_]:
        return np.zeros(len(values), dtype=np.bool_)

    return generate(Profile(contract, profile), count, np.random.default_rng(seed), taken).table


def clumsy(table: pa.Table, count: int, seed: int) -> pa.Table:
    """A first attempt at canaries: every column takes the value of another row, whatever the other columns say."""
    rng = np.random.default_rng(seed)
    columns = [column.take(pa.array(rng.integers(0, table.num_rows, count))) for column in table.columns]
    return pa.Table.from_arrays(columns, schema=table.schema)


def auc(real: pa.Table, made: pa.Table, seed: int = 1) -> dict[str, float]:
    """Area under the curve of each learner, cross-validated."""
    both = pa.concat_tables([real, made]).combine_chunks()
    target = np.repeat([0, 1], [real.num_rows, made.num_rows])
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    texts = [pc.fill_null(both[name].cast(pa.string()), "").to_pylist() for name in both.column_names]
    grams = HashingVectorizer(analyzer="char", ngram_range=(1, 3), n_features=2**15, lowercase=False)
    characters = hstack([grams.transform(texts[n]) for n in range(len(texts))]).tocsr()
    linear = LogisticRegression(C=0.3, max_iter=300)
    trees = HistGradientBoostingClassifier(max_iter=150, learning_rate=0.05, random_state=seed)
    found = {}
    for name, learner, features in (("characters", linear, characters), ("columns", trees, columns(both))):
        chances = cross_val_predict(learner, features, target, cv=folds, method="predict_proba")[:, 1]
        found[name] = float(roc_auc_score(target, chances))
    return found


def columns(table: pa.Table) -> npt.NDArray[np.float64]:
    """What an analyst would compute of each row; float64[rows, features], nan where there is nothing."""
    out: list[npt.NDArray[np.float64]] = []
    texts = {name: pc.fill_null(table[name].cast(pa.string()), "").to_pylist() for name in table.column_names}
    for name, cells in texts.items():
        kind = table.schema.field(name).type
        different, codes, times = np.unique(cells, return_inverse=True, return_counts=True)
        out += [np.minimum(times[codes], 3).astype(float), np.array([len(cell) for cell in cells], float)]
        if len(different) <= _CLASSES:
            out.append(codes.astype(float))
        if pa.types.is_decimal(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
            number = np.array([float(cell or "nan") for cell in cells])
            out += [number, number % 1, number % 10, number % 1000]
        elif pa.types.is_timestamp(kind):
            second = np.array([np.datetime64(cell, "s").astype(np.int64) if cell else -1 for cell in cells], float)
            out += [second, second % 86_400, second // 86_400 % 7]
        else:
            out += [np.array([_digit(cell, place) for cell in cells]) for place in (*range(12), -1, -2, -3, -4, -5)]
            out += [np.array([float(cell[:n]) if cell[:n].isdecimal() else np.nan for cell in cells]) for n in (3, 6)]
            out += [np.array([ord(cell[n]) if len(cell) > n else -1 for cell in cells], float) for n in (0, 1, 2)]
    features = np.column_stack([*out, *_together(texts)])
    varies = [len(np.unique(column[~np.isnan(column)][:1000])) > 1 for column in features.T]
    return features[:, varies]


def _together(texts: dict[str, list[str]]) -> list[npt.NDArray[np.float64]]:
    """What the bank's columns say together."""
    if not {"national_id", "address", "branch", "name", "email", "opened_at", "balance"} <= set(texts):
        return []
    born = np.array([float(cell[6:10]) + float(cell[10:12]) / 12 for cell in texts["national_id"]])
    opened = np.array([float(cell[:4]) + float(cell[5:7]) / 12 for cell in texts["opened_at"]])
    balance, limit = (np.array(list(map(float, texts[name]))) for name in ("balance", "credit_limit"))
    area = np.array([float(cell[:6]) for cell in texts["national_id"]])
    place = np.unique([cell[:9] for cell in texts["address"]], return_inverse=True)[1].astype(float)
    branch = [float(b.removesuffix("支行")[-3:] in a) for a, b in zip(texts["address"], texts["branch"], strict=True)]
    pinyin = [anyascii(cell).lower() for cell in texts["name"]]
    mail = [cell.lower() for cell in texts["email"]]
    named = [float(name == box[: len(name)]) for name, box in zip(pinyin, mail, strict=True)]
    first = [float(name[:2] == box[:2]) for name, box in zip(pinyin, mail, strict=True)]
    usual = _usual_place(texts)
    return [
        opened - born, born, np.log1p(balance) - np.log1p(limit), area * 1000 + place, usual,
        np.array(branch), np.array(named), np.array(first),
    ]  # fmt: skip


def _usual_place(texts: dict[str, list[str]]) -> npt.NDArray[np.float64]:
    """How often the id's area goes with the address's district, in these rows."""
    pairs = [f"{i[:6]}{b}" for i, b in zip(texts["national_id"], texts["branch"], strict=True)]
    _, codes, times = np.unique(pairs, return_inverse=True, return_counts=True)
    return times[codes].astype(float)


def _digit(cell: str, place: int) -> float:
    there = -len(cell) <= place < len(cell)
    return float(cell[place]) if there and cell[place].isascii() and cell[place].isdigit() else np.nan


def main() -> int:
    """Print the AUCs; 1 when the canaries can be told."""
    contract, table = bank(20_000, 7)
    found = auc(table.slice(0, 8_000), canaries_of(contract, table, 2_000, 1))
    power = auc(table.slice(0, 8_000), clumsy(table, 2_000, 1))
    print("| AUC | characters | columns | bar |\n|---|---|---|---|")
    print(f"| canaries | {found['characters']:.3f} | {found['columns']:.3f} | below {BAR} |")
    print(f"| columns drawn one by one (power) | {power['characters']:.3f} | {power['columns']:.3f} | |")
    return int(max(found.values()) >= BAR or max(power.values()) < 0.8)


if __name__ == "__main__":
    sys.exit(main())
