"""What each command does, one file a group: its parsers, then arguments in, a document and lines out.

Nothing heavy is imported before a command runs: imports of what does the work stand inside the handlers.
"""

from pipeline.commands import case_care, cases, contracts, escrow, exports, exposed, forecasts, jobs, setup, watch

GROUPS = (setup, escrow, contracts, forecasts, exports, cases, case_care, exposed, jobs, watch)
