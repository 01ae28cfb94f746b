"""zip and gz: what is inside is unpacked into the work folder under names of ours, within bounds, and read in turn.

Names inside an archive are never used as paths, so `../` and absolute ones are harmless; a link is not followed.
"""

import secrets
import stat
import zipfile
import zlib
from pathlib import Path
from typing import IO

from pipeline.intake.context import Intake
from pipeline.intake.sheet import Sheet
from pipeline.intake.source import Source
from schemas.errors import InputError

FORMAT = "archive"
_MEMBERS = 2_000
_LEAST, _RATIO, _MOST = 1 << 28, 200, 1 << 34  # bytes unpacked: 256 MiB, or 200 times the file, 16 GiB at most
_BLOCK = 1 << 20
_SMALL = 1 << 12  # a damage costs one of these
_OTHERS = {b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!": "RAR", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"(\xb5/\xfd": "zstd"}


def read(source: Source, intake: Intake) -> list[Sheet] | None:
    """The sheets of everything inside; None when it is no archive."""
    head = source.head(8)
    if head.startswith(b"\x1f\x8b"):
        return _gz(source, intake)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip(source, intake)
    other = next((name for magic, name in _OTHERS.items() if head.startswith(magic)), None)
    if other:
        raise InputError(f"{intake.place} is a {other} archive, which is not read; unpack it and trace the folder")
    return None


def _bound(source: Source) -> int:
    return min(_MOST, max(_LEAST, _RATIO * source.size))


def _gz(source: Source, intake: Intake) -> list[Sheet]:
    path = intake.spool / f"unpacked-{secrets.token_hex(6)}"
    with source.open() as packed:
        left = _gunzip(packed, path, _bound(source))
    if left is not None and left < 0:
        path.unlink()
        raise InputError(f"{intake.place} unpacks to more than {_bound(source) >> 20} MiB; unpack it and trace a part")
    sheets = intake.inner("its content", path)
    if left is None:
        intake.set_aside("it is cut off or damaged; what could be unpacked was read")
    path.unlink()
    return sheets


def _gunzip(packed: IO[bytes], path: Path, bound: int) -> int | None:
    """Like `_copy`, member after member, down to the last byte before a damage."""
    path.touch(mode=0o600)
    unpacker, rest, whole = zlib.decompressobj(31), b"", False
    with path.open("wb") as out:
        try:
            while data := rest or packed.read(1 << 16):
                out.write(block := unpacker.decompress(data, _BLOCK))
                rest, bound, whole = unpacker.unconsumed_tail, bound - len(block), unpacker.eof
                if bound < 0:
                    return bound
                if whole:
                    rest, unpacker = unpacker.unused_data.lstrip(b"\0"), zlib.decompressobj(31)
        except zlib.error:
            return None
    return bound if whole else None


def _zip(source: Source, intake: Intake) -> list[Sheet]:
    try:
        with source.open() as packed, zipfile.ZipFile(packed) as zipped:
            infos = [info for info in zipped.infolist() if not info.is_dir()]
            if any(info.filename == "word/document.xml" for info in infos):
                raise InputError(f"{intake.place} is a word processor's document; save it as text")
            return _members(zipped, infos, _bound(source), intake)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise InputError(f"{intake.place} is no whole zip archive (truncated?); get it again or unpack it") from error


def _members(zipped: zipfile.ZipFile, infos: list[zipfile.ZipInfo], bound: int, intake: Intake) -> list[Sheet]:
    sheets: list[Sheet] = []
    if len(infos) > _MEMBERS:
        intake.set_aside(f"of its {len(infos):,} members only the first {_MEMBERS:,} were read")
    for number, info in enumerate(infos[:_MEMBERS], 1):
        where, name = f"member {number}", info.filename.rsplit("/", 1)[-1]
        if name.startswith(("._", ".DS_Store")) or name == "Thumbs.db":
            continue
        if info.flag_bits & 1:
            intake.set_aside(f"{where} is protected by a password and was not read; unpack it first")
            continue
        if stat.S_ISLNK(info.external_attr >> 16):
            intake.set_aside(f"{where} is a link and was not followed")
            continue
        path = intake.spool / f"unpacked-{secrets.token_hex(6)}"
        try:
            with zipped.open(info) as file:
                left = _copy(file, path, bound)
        except (NotImplementedError, RuntimeError, zipfile.BadZipFile, OSError):
            intake.set_aside(f"{where} is packed in a way that is not known, or damaged, and was not read")
            continue
        if left is not None and left < 0:
            path.unlink()
            intake.set_aside(f"{where} unpacks to too many bytes and was not read, nor what follows it")
            break
        if left is None:
            intake.set_aside(f"{where} is damaged; what could be unpacked was read")
        bound = bound if left is None else left
        sheets += intake.inner(where, path)
        path.unlink()
    return sheets


def _copy(file: IO[bytes], path: Path, bound: int) -> int | None:
    """Unpack to a path; how much of the bound is left: negative when it was passed, None when the data are damaged."""
    path.touch(mode=0o600)
    with path.open("wb") as out:
        try:
            while block := file.read(_SMALL):
                bound -= len(block)
                if bound < 0:
                    return bound
                out.write(block)
        except (EOFError, zlib.error, zipfile.BadZipFile):
            return None
    return bound
