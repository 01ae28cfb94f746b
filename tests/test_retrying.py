"""How long something is tried again, against a clock that only sleeping and working move."""

from dataclasses import dataclass

import duckdb
import pytest

from pipeline import retrying as module
from pipeline.retrying import BusyError, RefusedError, UnreachableError, retrying

AWAY = duckdb.IOException("IO Error: Unable to connect to Postgres")
BUSY = duckdb.TransactionException("Failed to commit: database is locked")


@dataclass
class Clock:
    """What the module sees of the time."""

    now: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(module, "time", made := Clock())
    return made


@pytest.mark.parametrize(("error", "told"), [(AWAY, UnreachableError), (BUSY, BusyError)])
def test_what_fails_at_once_is_tried_for_a_minute(clock: Clock, error: Exception, told: type[Exception]) -> None:
    def work() -> None:
        raise error

    with pytest.raises(told):
        retrying(work)
    assert 60 <= clock.now < 63


def test_a_server_that_comes_back_within_a_minute_was_worth_waiting_for(clock: Clock) -> None:
    def work() -> float:
        if clock.now < 55:
            raise AWAY
        return clock.now

    assert 55 <= retrying(work) < 58


def test_work_that_takes_long_begins_again_but_not_for_ever(clock: Clock) -> None:
    tries: list[int] = []

    def work() -> str:
        tries.append(1)
        clock.now += 100
        if len(tries) <= due:
            raise AWAY
        return "done"

    due = 2
    assert retrying(work) == "done"
    due = 1_000
    tries.clear()
    with pytest.raises(UnreachableError):
        retrying(work)
    assert len(tries) == 4


def test_inside_a_transaction_there_is_no_patience_and_what_began_it_begins_again(clock: Clock) -> None:
    tries: list[int] = []

    def inner() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise AWAY
        return "done"

    assert retrying(lambda: retrying(inner, 0)) == "done"
    assert clock.now < 1


def test_what_was_waited_for_inside_is_not_waited_for_again(clock: Clock) -> None:
    def work() -> None:
        raise AWAY

    with pytest.raises(UnreachableError):
        retrying(lambda: retrying(work))
    assert clock.now < 63


def test_whoever_is_refused_does_not_ask_again(clock: Clock) -> None:
    def work() -> None:
        raise RefusedError("no")

    with pytest.raises(RefusedError):
        retrying(work)
    assert clock.now == 0


@pytest.mark.parametrize(
    "text",
    [
        "Current transaction is aborted (please ROLLBACK)",
        'Failed to prepare COPY "COPY (SELECT 1) TO STDOUT (FORMAT "binary");": ',
        "Attempted to access index 0 within vector of size 0",
    ],
)
def test_a_server_that_went_away_is_known_by_what_its_extension_says(clock: Clock, text: str) -> None:
    tries: list[int] = []

    def work() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise duckdb.InternalException(text)
        return "done"

    assert retrying(work) == "done"


def test_a_query_that_postgresql_refuses_is_not_taken_for_a_server_away(clock: Clock) -> None:
    def work() -> None:
        raise duckdb.IOException('Failed to prepare COPY "COPY (SELECT 1) TO STDOUT": ERROR: permission denied')

    with pytest.raises(module.RegistryError) as caught:
        retrying(work)
    assert not isinstance(caught.value, UnreachableError)
    assert clock.now == 0
