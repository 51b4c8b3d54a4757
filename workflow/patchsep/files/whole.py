"""Files that appear whole or not at all, and damaged ones that are set aside."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """A temporary path in the same folder that takes `path`'s name if all goes well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


class DamagedFile(OSError):
    """A file whose content is not what was written; it has been set aside."""


@contextmanager
def checked(path: str | Path) -> Iterator[None]:
    """Set a file aside that cannot be read: the workflow misses it then, and makes it again.

    Raises
    ------
    DamagedFile
        For any error in reading the file but that it is not there.
    """
    path = Path(path)
    try:
        yield
    except FileNotFoundError:
        raise
    # A flipped bit can be anything to those who read it.
    except Exception as error:
        aside = path.with_name(f"{path.name}.damaged")
        os.replace(path, aside)
        raise DamagedFile(
            f"{path} is damaged ({error}). It is now {aside.name}; "
            "run the same command again, which makes it anew"
        ) from error
