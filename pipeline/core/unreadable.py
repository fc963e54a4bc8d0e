"""Files that the system does not let one read, named for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.core.errors import UsageError

_SHOWN_CHARACTERS = 200


@contextmanager
def unreadable_named(asked: str) -> Iterator[None]:
    """What the system says of a file that cannot be read, as UsageError. `asked` is how the user called it."""
    try:
        yield
    except OSError as error:
        # Of a name that is too long, the path around it says nothing more.
        where = str(error.filename) if error.filename is not None and len(asked) <= _SHOWN_CHARACTERS else asked
        hint = "make it readable for you" if isinstance(error, PermissionError) else "give another path"
        raise UsageError(f"{where[:_SHOWN_CHARACTERS]} cannot be read: {error.strerror or error}", hint=hint) from error
