"""Readers against what chance makes of samples, until so many CPU-seconds are spent.

    python -m benchmarks.intake_fuzz [--seconds 600] [--first 1]

A case is one sample of the corpus's formats, changed in one to six places: bytes drawn by Hypothesis put in, taken
out, doubled, or written over. A reader may refuse it with a sentence; it may not crash, hang, or
print a value of the sample.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from benchmarks import intake_corpus as made
from pipeline.intake import read_sample
from schemas.errors import InputError

_SLOW = ("xlsx", "xls", "ods", "pdf")  # each in a process of its own: bounded by that, and too slow to draw often
_PEOPLE = (made.chinese(21, 6), made.english(22, 6))
_FORMS = [(form, suffix, write) for form, suffix, write in made.CLEAN if form not in _SLOW and suffix not in ("xlsx",)]
SEEDS = [
    write(people)
    for people in _PEOPLE
    for n, (form, suffix, write) in enumerate(_FORMS)
    if not (form in ("email", "zip") and b"xl/workbook.xml" in write(people))
]
_SECRETS = [cell for people in _PEOPLE for row in people.rows for cell in (row[1], row[2], row[3]) if cell]
_SECONDS = 10


def harmless(drawn: bytes, content: bytes, data: st.DataObject) -> None:
    """Change a sample, read it, and see that it was read or refused in time, without a word of what it holds."""
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content)))
        long = data.draw(st.integers(0, 200))
        way = data.draw(st.sampled_from(("put", "take", "double", "over", "cut")))
        piece = {"put": drawn, "take": b"", "double": content[at : at + long] * 2, "over": drawn, "cut": b""}[way]
        rest = {"put": at, "take": at + long, "double": at + long, "over": at + len(drawn), "cut": len(content)}[way]
        content = content[:at] + piece + content[rest:]
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        try:
            sample = read_sample(content, Path(folder))
            said = " ".join(sample.notes)
            assert all(sheet.table.num_rows == sheet.rows > 0 for sheet in sample.sheets)  # noqa: S101
        except InputError as error:
            said = str(error)
    assert time.process_time() - began < _SECONDS  # noqa: S101
    assert "\n" not in said  # noqa: S101
    assert not any(secret in said for secret in _SECRETS)  # noqa: S101


def main() -> int:
    """Draw cases until the time is spent; an AssertionError or any other exception is a finding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="of CPU")
    parser.add_argument("--first", type=int, default=1, help="first round; another draws other cases")
    arguments = parser.parse_args()
    count, rounds = 0, arguments.first - 1

    def case(content: bytes, drawn: bytes, data: st.DataObject) -> None:
        nonlocal count
        count += 1
        harmless(drawn, content, data)

    while time.process_time() < arguments.seconds:
        rounds += 1
        checks = list(HealthCheck)
        run = settings(
            max_examples=1000, deadline=None, database=None, suppress_health_check=checks, phases=[Phase.generate]
        )
        seed(rounds)(run(given(st.sampled_from(SEEDS), st.binary(max_size=60), st.data())(case)))()
    print(
        f"{count:,} cases of {len(SEEDS)} samples in {time.process_time():.0f} CPU-s: no crash, no hang, no value shown"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
