"""The data files of a registry, opened as files: in a folder, or in a team's object store."""

from contextlib import AbstractContextManager
from typing import Any

import pyarrow.fs as pa_fs

from pipeline.places import OBJECT_STORE, store_secret
from pipeline.storage import Connection, stored_at
from schemas.errors import RegistryError

_ATTEMPTS = 7  # at a request, ever later, before the store counts as away


class FileStore:
    """Where a registry's data files are.

    paths: by the file's name, which is unique. sizes: in bytes, by name.
    """

    def __init__(self, con: Connection) -> None:
        """Lists them; RegistryError when that cannot be done."""
        where = stored_at(con)
        self._files, folder = (
            _object_store(where) if where.startswith(OBJECT_STORE) else (pa_fs.LocalFileSystem(), where)
        )
        try:
            listed = self._files.get_file_info(pa_fs.FileSelector(folder, recursive=True, allow_not_found=True))
        except OSError as error:
            raise RegistryError(
                "the registry's data files cannot be listed; check their folder, or the object store and its AWS_ keys"
            ) from error
        parquet = [info for info in listed if info.is_file and info.extension == "parquet"]
        self.paths: dict[str, str] = {info.base_name: info.path for info in parquet}
        self.sizes: dict[str, int] = {info.base_name: info.size for info in parquet}

    def opened(self, name: str) -> AbstractContextManager[Any]:
        """A file to read from at any place."""
        return self._files.open_input_file(self.paths[name])


def _object_store(where: str) -> tuple[Any, str]:
    """As DuckDB reaches it, by the same variables of the environment."""
    secret = store_secret()
    files = pa_fs.S3FileSystem(
        access_key=secret["KEY_ID"], secret_key=secret["SECRET"], session_token=secret.get("SESSION_TOKEN"),
        region=secret["REGION"], endpoint_override=secret.get("ENDPOINT"),
        scheme="http" if secret.get("USE_SSL") == "false" else "https",
        retry_strategy=pa_fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
    )  # fmt: skip
    return files, where.removeprefix(OBJECT_STORE).rstrip("/")
