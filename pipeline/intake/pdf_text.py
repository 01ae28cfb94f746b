"""PDF: the text of its pages, laid out as on the page, read as any other text. A scanned page has none."""

from dataclasses import replace

from pipeline.intake.context import Intake
from pipeline.intake.isolated import extract as isolated
from pipeline.intake.sheet import Sheet
from pipeline.intake.source import Source

FORMAT = "pdf"


def read(source: Source, intake: Intake) -> list[Sheet] | None:
    """The tables or prose of a PDF's text; None when it is none."""
    if b"%PDF-" not in source.head(1024):
        return None
    path = source.content
    if isinstance(path, bytes):
        path = intake.spool / f"pdf-{id(source):x}"
        path.write_bytes(source.whole())
    pages = list(isolated("pdf", path, intake.place))
    for way in (0, 1, 2):  # piece by piece; as laid out; as the text stands in the file
        text = "\n".join(page[way] for page in pages)
        if text.strip():
            before = len(intake.notes)
            sheets = intake.inner("its text", text.encode("utf-8", "replace"), is_text=True)
            if sheets:
                return [replace(sheet, format=FORMAT, encoding=None) for sheet in sheets]
            if way < 2:
                del intake.notes[before:]
    if not any(page[2].strip() for page in pages):
        intake.set_aside("its pages hold no text (a scan?); read them with a text recogniser first")
    return []
