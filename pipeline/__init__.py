"""leaktrace from Python: the names below, each with the types and errors of its docstring.

    from pipeline import tag_export, trace_sample

    receipts = tag_export("customers.csv", "bank.odcs.yaml", ["E1003"], "spring campaign", "{recipient}.csv")
    verdict = trace_sample("post.txt", "cases/post")

`registry` and `keys` come from LEAKTRACE_REGISTRY and LEAKTRACE_KEYS unless given. Whatever goes wrong is one of
schemas.errors, and then nothing was issued. Nothing is imported before a name is used: `leaktrace --help` stays
quick, and so does importing this package in a scheduler that only reads its name.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.api import (
        check_contract,
        check_machine,
        check_registry,
        create_registry,
        infer_contract,
        list_exports,
        preview_export,
        register_export,
        run_due_jobs,
        sweep_folder,
        tag_export,
        trace_sample,
        verify_case,
        write_canary_list,
    )

# NumPy sorts with AVX-512 where there is any, which on AMD's Zen 4 takes four times as long as with AVX2; elsewhere the
# two are near (runbooks/decisions/0143). NumPy reads this when it is first imported.
os.environ.setdefault("NPY_DISABLE_CPU_FEATURES", "X86_V4")
# Arrow's own allocator keeps more than it uses, for no less processor time (runbooks/decisions/0231).
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

__all__ = [
    "check_contract",
    "check_machine",
    "check_registry",
    "create_registry",
    "infer_contract",
    "list_exports",
    "preview_export",
    "register_export",
    "run_due_jobs",
    "sweep_folder",
    "tag_export",
    "trace_sample",
    "verify_case",
    "write_canary_list",
]


def __getattr__(name: str) -> Any:
    """The function of this name, imported when it is first asked for."""
    if name in __all__:
        return getattr(import_module("pipeline.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The names, for completion."""
    return sorted([*globals(), *__all__])
