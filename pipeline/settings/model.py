"""What a person sets, field by field."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote
from zlib import crc32
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pipeline.domain.errors import SettingsError, UsageError
from pipeline.settings import checks

FILE = "onhand.toml"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Kafka(_Section):
    """The brokers, and the Kafka Connect worker that runs Debezium."""

    bootstrap_servers: str = Field(default="127.0.0.1:9092", pattern=r"^[^\s:,]+:\d+(,[^\s:,]+:\d+)*$")
    """Brokers as HOST:PORT, several separated by commas."""
    connect_url: Annotated[str, AfterValidator(checks.http)] = "http://127.0.0.1:8083"
    """Kafka Connect's REST address."""
    replication_factor: int | None = Field(default=None, ge=1)
    """Copies of each topic; unset = 3, or as many as there are brokers."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How to talk to the brokers."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """How to log in, with a SASL_ protocol."""
    sasl_username: str | None = None
    """Who logs in to the brokers."""
    sasl_password: SecretStr | None = None
    """Their password, from the environment only."""
    sasl_password_file: Path | None = None
    """A file that holds their password."""
    ssl_cafile: Path | None = None
    """CA certificates (PEM) the brokers are checked against; unset = the system's."""

    @property
    def secret(self) -> str | None:
        """The SASL password, None without one."""
        return checks.secret(self.sasl_password, self.sasl_password_file)


class Redis(_Section):
    """Where stock is served."""

    url: Annotated[str, AfterValidator(checks.redis)] = "redis://127.0.0.1:6379/0"
    """The server's address; rediss:// for TLS."""
    password: SecretStr | None = None
    """The password, from the environment only."""
    password_file: Path | None = None
    """A file that holds the password."""
    ssl_cafile: Path | None = None
    """CA certificates (PEM) a rediss:// server is checked against; unset = the system's."""

    @property
    def secret(self) -> str | None:
        """The password, None without one."""
        return checks.secret(self.password, self.password_file)

    @property
    def address(self) -> str:
        """`url` with the CA file in it, the way redis-py takes it."""
        if self.ssl_cafile is None:
            return self.url
        return f"{self.url}{'&' if '?' in self.url else '?'}ssl_ca_certs={quote(str(self.ssl_cafile))}"


class Worker(_Section):
    """The process that folds the log."""

    metrics_host: str = "127.0.0.1"
    """The address /metrics listens on."""
    metrics_port: int = Field(default=9464, ge=0, le=65535)
    """The port /metrics listens on; 0 = a free one."""
    scrub_keys_per_second: int = Field(default=500, ge=0)
    """Keys in Redis that are compared with what the worker remembers, and mended; 0 = those `verify` finds wrong."""
    directory: Path | None = None
    """Where sources with rows = "disk" keep them; a local disk. What is there may be deleted while no worker runs."""


class Source(_Section):
    """One ERP database and what is served from it; every name below follows from the section's."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,55}$")
    """The section's name: small letters, digits and _, starting with a letter."""
    pack: str = Field(min_length=1)
    """A folder of connectors/, or the path of a pack of your own."""
    database: Annotated[str, AfterValidator(checks.database)]
    """The ERP's database as the capture role sees it: postgresql://ROLE@HOST:PORT/DATABASE, or mariadb://.."""
    password: SecretStr | None = None
    """The capture role's password, from the environment only."""
    password_file: Path | None = None
    """A file that holds the capture role's password."""
    connect_password: str = Field(default="", pattern=r"^(\$\{\w+:[^{}]+\})?$")
    """The password as Kafka Connect finds it: a placeholder such as ${dir:/run/secrets:erp}."""
    params: dict[str, Any] = {}
    """The pack's parameters."""
    time_zone: Annotated[str, AfterValidator(checks.time_zone)] = "UTC"
    """The ERP's time zone: when its day turns."""
    prefix: str = Field(default="stock", pattern=r"^[A-Za-z0-9._-]+$")
    """What the Redis keys start with; several sources in one Redis each take their own."""
    publication: str = Field(default="onhand", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    """The publication the DBA made."""
    slot: str = Field(default="", pattern=r"^[a-z0-9_]{0,63}$")
    """The replication slot; unset = onhand_<name>."""
    server_id: int = Field(default=0, ge=0, le=4_294_967_295)
    """MariaDB: the replica's number that Debezium reads the binlog under; 0 = one that follows from the name."""
    alerts: Path | None = None
    """Rules of alerts, over those of the pack and of onhand itself; unset = only those."""
    rows: Literal["memory", "disk"] = "memory"
    """Where the worker keeps this source's rows: "disk" for ledgers too large for memory, in [worker] directory."""
    poll_interval_ms: int = Field(default=5, ge=1, le=1000)
    """How often Debezium looks for changes; 1 = lowest latency, for a third of a core even when idle."""

    @property
    def secret(self) -> str | None:
        """The capture role's password, None without one."""
        return checks.secret(self.password, self.password_file)

    @property
    def placeholder(self) -> str:
        """The password as Kafka Connect is told it: `connect_password`, else its dir provider's."""
        if self.connect_password or self.password_file is None:
            return self.connect_password
        path = self.password_file.absolute()
        return f"${{dir:{path.parent}:{path.name}}}"

    @property
    def zone(self) -> ZoneInfo:
        """`time_zone` itself."""
        return ZoneInfo(self.time_zone)

    @property
    def is_mariadb(self) -> bool:
        """The database is MariaDB, not PostgreSQL."""
        return self.database.startswith("mariadb:")

    @property
    def default_port(self) -> int:
        """The port where `database` names none."""
        return 3306 if self.is_mariadb else 5432

    @property
    def replica_id(self) -> int:
        """The number under which Debezium reads MariaDB's binlog; no other replica of the server may have it."""
        return self.server_id or 1_000_000_000 + crc32(self.name.encode()) % 1_000_000_000

    @property
    def history_topic(self) -> str:
        """Where Debezium keeps the tables' definitions as they were at each place of MariaDB's binlog."""
        return f"onhand.{self.name}.schema"

    @property
    def slot_name(self) -> str:
        """The replication slot."""
        return self.slot or f"onhand_{self.name}"

    @property
    def topic_prefix(self) -> str:
        """Debezium's topic.prefix, the prefix of our logical messages and the consumer group."""
        return f"onhand.{self.name}"

    @property
    def group(self) -> str:
        """The worker's consumer group."""
        return f"onhand.{self.name}"

    @property
    def log_topic(self) -> str:
        """The one ordered log."""
        return f"onhand.{self.name}.log"

    @property
    def alerts_topic(self) -> str:
        """Open and closed alerts, by key."""
        return f"onhand.{self.name}.alerts"

    @property
    def acks_topic(self) -> str:
        """Who has taken note of which alert, by the alert's id."""
        return f"onhand.{self.name}.acks"

    @property
    def orders_topic(self) -> str:
        """What is served of each order, by its number, where the pack has orders.sql."""
        return f"onhand.{self.name}.orders"

    @property
    def movements_topic(self) -> str:
        """Posted movements as events, where the pack has movements.sql."""
        return f"onhand.{self.name}.movements"

    @property
    def quarantine_topic(self) -> str:
        """Rows that could not be read or mapped, by the log's key."""
        return f"onhand.{self.name}.quarantine"

    @property
    def connector(self) -> str:
        """The connector's name in Kafka Connect."""
        return f"onhand-{self.name}"


class Settings(BaseSettings):
    """Everything a person sets."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix="ONHAND_",
        env_nested_delimiter="__",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    kafka: Kafka = Kafka()
    """The brokers and Kafka Connect."""
    redis: Redis = Redis()
    """Where stock is served."""
    worker: Worker = Worker()
    """The process that folds the log."""
    sources: dict[str, Source] = {}
    """The ERP databases, by name."""

    @model_validator(mode="before")
    @classmethod
    def _name_sources(cls, values: dict[str, Any]) -> dict[str, Any]:
        sources = values.get("sources")
        if isinstance(sources, dict):
            named = {n: {**s, "name": n} if isinstance(s, dict) else s for n, s in sources.items()}
            return {**values, "sources": named}
        return values

    @model_validator(mode="after")
    def _keys_apart(self) -> Self:
        prefixes = [s.prefix for s in self.sources.values()]
        if shared := {p for p in prefixes if prefixes.count(p) > 1}:
            raise ValueError(f"sources share the Redis prefix {', '.join(sorted(shared))}; give each its own prefix")
        return self

    @model_validator(mode="after")
    def _rows_have_a_place(self) -> Self:
        on_disk = [s.name for s in self.sources.values() if s.rows == "disk"]
        if on_disk and self.worker.directory is None:
            raise ValueError(f'source {on_disk[0]} has rows = "disk"; set [worker] directory to a folder for it')
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, which `load` passes as arguments."""
        return env_settings, init_settings

    def source(self, name: str | None = None) -> Source:
        """The source called `name`; without a name the only one there is."""
        known = ", ".join(sorted(self.sources))
        if name is None and len(self.sources) == 1:
            return next(iter(self.sources.values()))
        if not self.sources:
            example = '[sources.erp] with pack = "tryton" and database = "postgresql://cdc@127.0.0.1/erp"'
            raise SettingsError("no source is set", f"write {example} into {FILE}, or name another file with --config")
        if name is None:
            raise UsageError(f"there are several sources: {known}", "name one of them")
        if name not in self.sources:
            raise UsageError(f"there is no source {name!r}; there is {known}", "name one of them")
        return self.sources[name]
