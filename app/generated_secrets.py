"""Secrets that are made at the first start and kept in the data folder, readable by us alone."""

import os
import secrets
from pathlib import Path
from typing import NamedTuple

INGEST_TOKEN_FILE = "ingest-token"  # noqa: S105 - a file's name
ADMIN_KEY_FILE = "admin-key"
SECRET_KEY_FILE = "secret-key"  # noqa: S105 - likewise


class Secret(NamedTuple):
    """A secret, and whether it was made just now (then it is shown, once)."""

    value: str
    is_new: bool


def kept_secret(folder: Path, name: str) -> Secret:
    """The secret in the file `name` of `folder`, made with mode 0600 if there is none.

    Raises OSError if the file cannot be read or made, ValueError if it is empty.
    """
    path = folder / name
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        value = path.read_text("utf-8").strip()
        if not value:
            raise ValueError(
                f"{path} is empty: delete it to have a new secret made, or restore its content"
            ) from None
        return Secret(value, is_new=False)
    value = secrets.token_urlsafe(32)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(value + "\n")
        file.flush()
        os.fsync(file.fileno())
    return Secret(value, is_new=True)
