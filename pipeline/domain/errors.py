"""Errors a person meets, each with the fix.

    OnhandError            exit code 1
    |- UsageError          exit code 2: what was typed or written in a file is wrong
    |  |- PackError        a pack's SQL or pack.toml; carries file, line and column
    |  |  `- NotServedError  right by the pack contract, and not served by this version
    |  `- SettingsError    onhand.toml or an environment variable
    |- NotReadyError       a system we need is away or not set up (Connect, Kafka, Redis, the ERP)
    |- RefusedError        it is there, but not as it must be (topic settings, rights, eviction)
    `- DiffersError        exit code 10: served stock is not the ERP's, or the feed is unhealthy

Data problems are values (see change.Rejection), bugs are ordinary exceptions and end the process.
"""


class OnhandError(Exception):
    """Something a person can mend: `what` went wrong and the `fix` to type. Never holds a secret or a row value."""

    exit_code = 1

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what, self.fix = what, fix

    def __str__(self) -> str:
        return f"{self.what}\n  fix: {self.fix}" if self.fix else self.what


class UsageError(OnhandError):
    """What was typed or written is wrong."""

    exit_code = 2


class SettingsError(UsageError):
    """A settings file or environment variable is wrong."""


class PackError(UsageError):
    """A pack is wrong: `where` is `file:line:column` (1-based), as far as it is known."""

    def __init__(self, what: str, fix: str = "", where: str = "") -> None:
        super().__init__(f"{where}: {what}" if where else what, fix)
        self.where = where


class NotServedError(PackError):
    """A pack asks for what this version does not serve yet."""


class NotReadyError(OnhandError):
    """A system we need cannot be reached or is not set up."""


class RefusedError(OnhandError):
    """A system is there, but going on would lose or distort data."""


class DiffersError(OnhandError):
    """Served stock differs from the ERP's, or the feed is unhealthy."""

    exit_code = 10
