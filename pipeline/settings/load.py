"""Reading `onhand.toml` and the environment, and saying what is wrong in them, all at once."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pydantic_settings
from pydantic import BaseModel, ValidationError

from pipeline.domain.errors import SettingsError
from pipeline.settings.model import FILE, Kafka, Redis, Settings, Source, Worker

_SECRETS = {"password": "password_file", "sasl_password": "sasl_password_file"}
_PATHS = {"password_file", "sasl_password_file", "ssl_cafile", "directory", "alerts"}


def load(file: Path | None = None) -> Settings:
    """Settings from `file`, else ONHAND_CONFIG, else ./onhand.toml where it exists, under the environment's.

    Raises SettingsError that lists every problem at once.
    """
    named = file or (Path(os.environ["ONHAND_CONFIG"]) if os.environ.get("ONHAND_CONFIG") else None)
    path = named or Path(FILE)
    raw = _read(path) if named or path.exists() else {}
    problems = _literal_secrets(raw)
    try:
        settings = Settings(**_rebased(raw, path.parent))
    except ValidationError as e:
        problems += [_problem(error["loc"], error["type"], error["msg"]) for error in e.errors(include_url=False)]
    except pydantic_settings.SettingsError as e:
        problems.append(f"{e}; write JSON, for example ONHAND_SOURCES__ERP__PARAMS='{{\"orgs\": [1]}}'")
    except RecursionError:
        problems.append('a value is nested without end; write what it is about, such as {"orgs": [1]}')
    if problems:
        count = "1 setting is" if len(problems) == 1 else f"{len(problems)} settings are"
        raise SettingsError(f"{path}: {count} wrong\n  " + "\n  ".join(problems), "correct what is listed")
    return settings


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as e:
        fix = "name an existing file with --config or ONHAND_CONFIG"
        raise SettingsError(f"the settings file {path} cannot be read: {e.strerror}", fix) from None
    except (ValueError, RecursionError) as e:  # not TOML, not text, a number without end
        raise SettingsError(f"{path} is not TOML: {e}", 'write lines such as name = "text" below [section]') from None


def _sections(raw: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each table of the file by its heading: kafka, redis, sources.erp, .."""
    sources = raw.get("sources")
    nested = {f"sources.{n}": s for n, s in sources.items()} if isinstance(sources, dict) else {}
    return {n: s for n, s in {**raw, **nested}.items() if isinstance(s, dict) and n != "sources"}


def _literal_secrets(raw: dict[str, Any]) -> list[str]:
    return [
        f"[{heading}] {key}: a password does not belong in a file that is copied around; "
        f"write {_SECRETS[key]} = '/path/of/a/file' (mode 600), or set {_variable((*heading.split('.'), key))}"
        for heading, section in _sections(raw).items()
        for key in section.keys() & _SECRETS.keys()
    ]


def _rebased(raw: dict[str, Any], folder: Path) -> dict[str, Any]:
    """`raw` with relative paths made to start at the file's folder."""
    for section in _sections(raw).values():
        for key, value in section.items():
            if isinstance(value, str) and (key in _PATHS or (key == "pack" and "/" in value)):
                section[key] = str((folder / value).absolute())
    return raw


def _variable(loc: tuple[int | str, ...]) -> str:
    return "ONHAND_" + "__".join(str(part) for part in loc).upper()


def _problem(loc: tuple[int | str, ...], kind: str, message: str) -> str:
    if not loc:  # the file as a whole
        return message.removeprefix("Value error, ")
    *heading, field = (str(part) for part in loc)
    where = _variable(loc) if _variable(loc) in os.environ else f"[{'.'.join(heading)}] {field}".replace("[] ", "")
    section = _model(heading)
    if kind == "extra_forbidden":
        known = ", ".join(n for n in section.model_fields if n not in {"name", *_SECRETS}) if section else ""
        return f"{where}: there is no such setting; known here: {known}"
    if section and field in section.model_fields:
        says = section.model_fields[field].description or ""
        texts = {"missing": "is missing", "string_pattern_mismatch": "has not the right form"}
        text = texts.get(kind) or re.sub("^Value error, ", "", message)
        return f"{where}: {text} ({says[:1].lower() + says[1:].rstrip('.')})"
    return f"{where}: {message}"


def _model(heading: list[str]) -> type[BaseModel] | None:
    """The model behind a heading: [] is the file itself, ['sources', 'erp'] a source."""
    known: dict[str, type[BaseModel]] = {
        "": Settings,
        "kafka": Kafka,
        "redis": Redis,
        "worker": Worker,
        "sources": Source,
    }
    return known.get(heading[0] if heading else "")
