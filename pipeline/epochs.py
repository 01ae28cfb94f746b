"""Epochs of the index key: which key digested what, without the keys themselves.

A registry begins in epoch 1. `registry rotate-key` begins the next one, and an entry of the chain says so: with the
number, and with the ids of both index keys, so that a key is found by what it is and not by what its file is called.
Everything tagged before stays under its own key: records, versions, tokens and positions of one epoch say nothing
about those of another.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from watermarking.keys import IndexKey

KIND = "rotate"
INDEX = "index"


@dataclass(frozen=True)
class Epoch:
    """One epoch; key_id: of its index key, empty where no rotation has noted it yet."""

    number: int = 1
    key_id: str = ""


FIRST = Epoch()


def key_id(key: IndexKey) -> str:
    """What a key is known by: 128 bits derived from it, which say nothing about it."""
    return key.subkey("id").hex()[:32]


def epochs_of(notes: Iterable[Mapping[str, Any]]) -> tuple[Epoch, ...]:
    """The epochs that a chain's rotations tell of, from 1; notes: entries of the kind `rotate`, in order."""
    found = {1: FIRST}
    for note in notes:
        for number, name in note.get("index_keys", {}).items():
            found[int(number)] = Epoch(int(number), str(name))
    return tuple(found[number] for number in sorted(found))


def mark_name(dataset: str, epoch: int) -> str:
    """By which name the symbols read of a dataset are kept: those of each epoch stand at positions of their own."""
    return dataset if epoch == 1 else f"{dataset}\x1f{epoch}"
