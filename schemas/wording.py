"""Numbers in sentences: a row repeats, two rows repeat."""


def counted(number: int, one: str, many: str = "") -> str:
    """The number, and after it what there is of that, in the form that it asks for; `many` is `one` with an s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
