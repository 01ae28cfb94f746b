"""Bytes to text: UTF-8 first, then what charset-normalizer finds."""

from charset_normalizer import from_bytes

from schemas.errors import InputError

_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def decode(name: str, data: bytes) -> tuple[str, str]:
    """The text of a file and its encoding; InputError when it is no text."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace"), encoding
    if b"\0" in data[: 1 << 16]:
        raise InputError(f"{name}: it holds NUL bytes, so it is no text of a kind that is known")
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        pass
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        text = ""
    if sum("\u4e00" <= character <= "\u9fff" for character in text[:20_000]) > len(text[:20_000]) / 20:
        return text, "gb18030"
    best = from_bytes(data[: 1 << 20]).best()
    if best is None:
        raise InputError(f"{name}: its encoding is not known; convert it to UTF-8")
    return data.decode(best.encoding, errors="replace"), best.encoding
