"""What a person sets: `onhand.toml`, overridden by environment variables, read once by the command line.

Every field is also a variable: `[kafka] bootstrap_servers` is ONHAND_KAFKA__BOOTSTRAP_SERVERS, `[sources.erp] database`
is ONHAND_SOURCES__ERP__DATABASE. Secrets come from a file or the environment, never from `onhand.toml`.
Relative paths in the file start at the file's folder.
"""

from pipeline.settings.load import load
from pipeline.settings.model import Kafka, Redis, Settings, Source, Worker

__all__ = ["Kafka", "Redis", "Settings", "Source", "Worker", "load"]
