"""Stored states on disk: written whole or not at all, gzipped where the file's name ends with .gz."""

import gzip
import os
import tempfile
import zlib
from pathlib import Path

from pipeline.domain.errors import UsageError
from pipeline.domain.stored import Stored, from_bytes, to_bytes


def store(file: Path, state: Stored) -> None:
    """Write a state beside `file`, then put it in its place. UsageError where that cannot be written."""
    content = to_bytes(state)
    if file.suffix == ".gz":
        content = gzip.compress(content, mtime=0)
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as writing:
            temporary = Path(writing.name)
            writing.write(content)
            writing.flush()
            os.fsync(writing.fileno())
        temporary.replace(file)
    except OSError as e:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise UsageError(f"{file} cannot be written: {e.strerror}", "name a file in a folder that is yours") from None


def load(file: Path) -> Stored:
    """Read a state. UsageError for a file that cannot be read, is not whole, or is of a later format."""
    try:
        content = file.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise UsageError(f"{file} is not what was stored: it cannot be unpacked", "take another copy of it") from None
    except OSError as e:
        raise UsageError(f"{file} cannot be read: {e.strerror}", "name a file that onhand export wrote") from None
    return from_bytes(content, str(file))
