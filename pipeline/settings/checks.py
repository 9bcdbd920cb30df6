"""What is refused of a setting's value, in words that follow its name."""

from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from pipeline.domain.errors import SettingsError


def time_zone(name: str) -> str:
    """The name of a time zone. Raises ValueError."""
    try:
        return ZoneInfo(name).key  # not available_timezones: it opens every zone's file, a tenth of a second
    except (KeyError, ValueError, OSError):
        raise ValueError("is not a time zone; write one such as 'Europe/Berlin' or 'UTC'") from None


def without_password(url: str) -> str:
    """An address that holds no password. Raises ValueError."""
    if urlsplit(url).password is not None:
        raise ValueError("holds a password; take it out and name a file of mode 600 in password_file")
    return url


def database(url: str) -> str:
    """The ERP's address, as the capture role sees it. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgresql", "mariadb"} or not (
        parts.hostname and parts.username and parts.path.strip("/")
    ):
        raise ValueError("is not a database address; write 'postgresql://ROLE@HOST:PORT/DATABASE' or mariadb://..")
    return without_password(url)


def redis(url: str) -> str:
    """Redis's address. Raises ValueError."""
    if urlsplit(url).scheme not in {"redis", "rediss"}:
        raise ValueError("is not a Redis address; write 'redis://HOST:PORT/0', or 'rediss://..' for TLS")
    return without_password(url)


def http(url: str) -> str:
    """An address of the web, without a slash at its end. Raises ValueError."""
    if urlsplit(url).scheme not in {"http", "https"}:
        raise ValueError("is not an address; write 'http://HOST:8083'")
    return without_password(url).rstrip("/")


def secret(value: SecretStr | None, file: Path | None) -> str | None:
    """A secret as it was given, or from its file. Raises SettingsError."""
    if value is not None:
        return value.get_secret_value()
    if file is None:
        return None
    try:
        return file.read_text().rstrip("\n")
    except OSError as e:
        fix = "write the password into it and make it readable for the user that runs onhand"
        raise SettingsError(f"the password file {file} cannot be read: {e.strerror}", fix) from None
