"""Parsers of complicated binary formats, each a module with `extract(path)`, run in a process of their own.

That process starts for every such file, so nothing here imports more than its parser: not pyarrow, not the readers.
"""

MOST_COLUMNS = 512  # detecting the kind of a column costs milliseconds
MOST_CELL = 65_536  # characters; an identifier, an address, a remark are far below
