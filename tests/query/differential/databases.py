"""The oracles: a mapping's tables on a real server, filled with several histories' rows in one round trip, and asked.

Every history runs in a transaction that is rolled back. What is asked is the text that verify sends to an ERP.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Dict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pymysql
import sqlalchemy as sa
from pymysql.constants import CLIENT

from infra.stack.mariadb import Mariadb
from infra.stack.postgres import Postgres
from pipeline.adapters import erp, erp_mysql
from pipeline.domain.catalog import Catalog
from pipeline.settings import Source
from tests.query.differential.history import Row
from tests.query.differential.mapping import Mapping
from tests.query.differential.schema import quoter

DATABASE = "differential"
Rows = Dict[str, Dict[Any, Row]]


@dataclass(frozen=True)
class Question:
    """What to ask: the queries (by kind) over these rows on that day."""

    rows: Rows
    today: str
    queries: Dict[str, str]


Answer = dict[str, list[tuple[Any, ...]]]


class Database(ABC):
    """One server; at most one mapping's tables exist at a time."""

    dialect: str

    @abstractmethod
    @contextmanager
    def tables(self, mapping: Mapping) -> Iterator[Catalog]:
        """The mapping's tables, as the server's own catalog has them."""

    @abstractmethod
    def answers(self, questions: Sequence[Question]) -> list[Answer]:
        """Each question's rows by kind, in one round trip."""

    @abstractmethod
    def close(self) -> None:
        """Leave the server."""


class PostgresDatabase(Database):
    dialect = "postgres"

    def __init__(self, server: Postgres) -> None:
        with psycopg.connect(server.dsn, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
            admin.execute(f"CREATE DATABASE {DATABASE}")
        self.connection = psycopg.connect(server.url(DATABASE), autocommit=True)
        self._source = Source(name="differential", pack="p", database=server.url(DATABASE))

    @contextmanager
    def tables(self, mapping: Mapping) -> Iterator[Catalog]:
        self.connection.execute("; ".join(mapping.create()))
        try:
            yield erp.inspect(self._source)
        finally:
            self.connection.execute("; ".join(f'DROP TABLE "{t.name}"' for t in mapping.tables))

    def answers(self, questions: Sequence[Question]) -> list[Answer]:
        try:
            with self.connection.pipeline():
                asked = [self._ask(q) for q in questions]
                return [{kind: cursor.fetchall() for kind, cursor in cursors.items()} for cursors in asked]
        except psycopg.Error:
            self.connection.rollback()
            raise

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def filled(self, question: Question) -> Iterator[psycopg.Connection[Any]]:
        """A transaction in which the tables hold the rows."""
        with self.connection.transaction(force_rollback=True):
            self._fill(question)
            yield self.connection

    @staticmethod
    def on_day(question: Question, kind: str) -> str:
        """A query's text as of the question's day."""
        return question.queries[kind].replace("CURRENT_DATE", f"DATE '{question.today}'")

    def _fill(self, question: Question) -> None:
        for table, rows in question.rows.items():
            if rows:
                fill = f'INSERT INTO "{table}" SELECT * FROM json_populate_recordset(NULL::"{table}", %s)'
                self.connection.execute(fill, [json.dumps(list(rows.values()))])

    def _ask(self, question: Question) -> dict[str, psycopg.Cursor[Any]]:
        self.connection.execute("BEGIN")
        self._fill(question)
        asked = {kind: self.connection.execute(self.on_day(question, kind)) for kind in question.queries}
        self.connection.execute("ROLLBACK")
        return asked


class MariadbDatabase(Database):
    dialect = "mysql"

    def __init__(self, server: Mariadb) -> None:
        self.connection = pymysql.connect(
            unix_socket=server.socket, user="root", autocommit=True, client_flag=CLIENT.MULTI_STATEMENTS
        )
        self._run(f"DROP DATABASE IF EXISTS {DATABASE}; CREATE DATABASE {DATABASE}; USE {DATABASE}")
        url = f"mysql+pymysql://root@/{DATABASE}"
        self._engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"unix_socket": server.socket})

    @contextmanager
    def tables(self, mapping: Mapping) -> Iterator[Catalog]:
        self._run("; ".join(mapping.create()))
        try:
            with self._engine.connect() as connection:
                yield erp_mysql.inspect(connection)
        finally:
            self._run(f"DROP TABLE {', '.join(f'`{t.name}`' for t in mapping.tables)}")

    def answers(self, questions: Sequence[Question]) -> list[Answer]:
        results = iter(self._run("; ".join(s for q in questions for s in self._statements(q))))
        return [self._answer(q, results) for q in questions]

    def close(self) -> None:
        self.connection.close()

    def _answer(self, question: Question, results: Iterator[list[Any]]) -> Answer:
        for _ in range(2 + sum(bool(rows) for rows in question.rows.values())):
            next(results)
        answer = {kind: next(results) for kind in question.queries}
        next(results)
        return answer

    def _statements(self, question: Question) -> Iterator[str]:
        yield f"SET timestamp = UNIX_TIMESTAMP('{question.today} 12:00:00')"
        yield "START TRANSACTION"
        quote = quoter("mysql")
        for table, rows in question.rows.items():
            if rows:
                names = ", ".join(map(quote, next(iter(rows.values()))))
                values = ", ".join(f"({', '.join(map(self._literal, r.values()))})" for r in rows.values())
                yield f"INSERT INTO {quote(table)} ({names}) VALUES {values}"
        yield from question.queries.values()
        yield "ROLLBACK"

    def _literal(self, value: Any) -> str:
        return self.connection.cursor().mogrify("%s", [value])

    def _run(self, statements: str) -> list[list[Any]]:
        """The rows of each statement."""
        with self.connection.cursor() as cursor:
            cursor.execute(statements)
            results = [list(cursor.fetchall())]
            while cursor.nextset():
                results.append(list(cursor.fetchall()))
            return results
