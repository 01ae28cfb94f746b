"""What each command does, one file a group: its parsers, then arguments in, a document and lines out.

Nothing heavy is imported before a command runs: imports of what does the work stand inside the handlers.
"""

from pipeline.commands import cases, contracts, exports, exposed, forecasts, jobs, setup, watch

GROUPS = (setup, contracts, forecasts, exports, cases, exposed, jobs, watch)
