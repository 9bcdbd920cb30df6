"""Every kind of record as Debezium 3.7 writes it to the log (single quotes: copied from a running connector)."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.adapters.debezium import LogReader
from pipeline.domain.change import (
    Begin,
    Control,
    End,
    Mark,
    Nothing,
    Position,
    Rejection,
    RowChange,
    SnapshotRow,
    Truncated,
)
from pipeline.query import MappingText, compile_source
from tests.query.schemas import catalog_of

# ruff: noqa: E501 -- records stand on one line, as in the log
SQL = """SELECT q.item_id, i.code AS item, p.name AS warehouse, q.quantity AS on_hand
         FROM quant q JOIN item i ON i.id = q.item_id LEFT JOIN place p ON p.org = q.org AND p.no = q.place"""
DDL = """CREATE TABLE item (id int PRIMARY KEY, code text);
         CREATE TABLE place (org int, no text, name text, PRIMARY KEY (org, no));
         CREATE TABLE quant (id bigint PRIMARY KEY, item_id int NOT NULL, org int, place text, quantity numeric(18,4))"""
TABLES = compile_source([MappingText("stock", SQL, "stock.sql")], catalog_of(DDL, "postgres"), {}).tables
ITEM, PLACE, QUANT = (TABLES[f"public.{name}"] for name in ("item", "place", "quant"))
reader = LogReader("onhand.try1", TABLES)

SOURCE = b'"source":{"version":"3.7.0.Final","connector":"postgresql","name":"onhand.try1","ts_ms":1795387662974,"snapshot":"false","db":"try1","sequence":"[\\"26935936\\",\\"26936304\\"]","ts_us":1795387662974257,"ts_ns":1795387662974257000,"schema":"public","table":"quant","txId":734,"lsn":26936304,"xmin":null,"origin":null,"origin_lsn":null},"transaction":{"id":"734:26936304","total_order":4,"data_collection_order":4}'
KEY = b'{"row":{"id":3001,"__dbz__physicalTableIdentifier":"onhand.try1.public.quant"}}'
ROW = b'{"id":3001,"item_id":197,"org":1,"lot":"A","place":"x","quantity":"5.0000","reserved":null}'


def event(op: str, after: bytes = ROW, before: bytes = b"null") -> bytes:
    return b'{"before":%b,"after":%b,%b,"op":"%b","ts_ms":1795387663016}' % (before, after, SOURCE, op.encode())


def snapshot(stage: str, lsn: str = "26934416") -> bytes:
    return (
        b'{"before":null,"after":{"id":1,"code":"I1"},"source":{"version":"3.7.0.Final","connector":"postgresql","name":"onhand.try1","ts_ms":1795387657661,"snapshot":"%b","db":"try1","sequence":"[null,\\"26934416\\"]","schema":"public","table":"item","txId":726,"lsn":%b,"xmin":null,"origin":null,"origin_lsn":null},"transaction":null,"op":"r","ts_ms":1795387657835}'
        % (stage.encode(), lsn.encode())
    )


ITEM_KEY = b'{"row":{"id":1,"__dbz__physicalTableIdentifier":"onhand.try1.public.item"}}'


@pytest.mark.parametrize("op", ["c", "u"])
def test_a_row_written(op: str) -> None:
    change = reader.read(KEY, event(op))
    assert isinstance(change, RowChange)
    assert (change.table, change.row.id) == (QUANT, 3001)
    assert (change.row.item_id, change.row.quantity, change.row.place) == (197, "5.0000", "x")


@pytest.mark.parametrize("before", [b"null", ROW, b'{"id":2899,"item_id":0,"org":0,"quantity":"0.0000"}'])
def test_a_row_deleted_and_its_tombstone(before: bytes) -> None:
    for value in (event("d", b"null", before), None):
        assert reader.read(KEY, value) == RowChange(QUANT, 3001, None)


def test_a_key_of_two_columns_in_any_order() -> None:
    for columns in (b'"org":1,"no":"a:\\"}"', b'"no":"a:\\"}","org":1'):
        key = b'{"row":{%b,"__dbz__physicalTableIdentifier":"onhand.try1.public.place"}}' % columns
        assert reader.read(key, None) == RowChange(PLACE, (1, 'a:"}'), None)


@pytest.mark.parametrize("stage", ["first", "first_in_data_collection", "true", "last_in_data_collection", "last"])
def test_a_row_read_by_a_snapshot(stage: str) -> None:
    change = reader.read(ITEM_KEY, snapshot(stage))
    assert isinstance(change, SnapshotRow)
    assert (change.table, change.pk, change.row.code, change.stage) == (ITEM, 1, "I1", stage)
    assert (change.position, change.time_ms) == (Position(26934416), 1795387657661)


def test_a_row_read_by_an_incremental_snapshot_has_no_position() -> None:
    for value in (snapshot("incremental", "null"), snapshot("incremental").replace(b'"lsn":26934416,', b"")):
        change = reader.read(ITEM_KEY, value)
        assert isinstance(change, SnapshotRow)
        assert (change.stage, change.position) == ("incremental", None)


def test_a_transaction_begins_and_ends() -> None:
    begin = b'{"status":"BEGIN","id":"727:26934512","event_count":null,"data_collections":null,"ts_ms":1795387658948}'
    end = b'{"status":"END","id":"727:26934560","event_count":1,"data_collections":[{"data_collection":"io.debezium.connector.postgresql.LogicalDecodingMessageMonitor$LogicalDecodingMessageId@1fa215ac","event_count":1}],"ts_ms":1795387658948}'
    assert reader.read(b'{"row":{}}', begin) == Begin()
    assert reader.read(b'{"row":{}}', end) == End(Position(26934560), 1795387658948, 1)


def test_what_says_nothing_about_rows() -> None:
    assert reader.read(b'{"row":{"serverName":"onhand.try1"}}', b'{"ts_ms":1795387659243}') == Nothing()
    assert reader.read(b'{"row":{"control":"epoch"}}', None) == Nothing()


def test_a_logical_message_is_the_mark_of_its_time() -> None:
    value = b'{"op":"m","ts_ms":1795387659243,"source":{"version":"3.7.0.Final","connector":"postgresql","name":"onhand.try1","ts_ms":1795387658948,"snapshot":"false","db":"try1","schema":"","table":"","txId":727,"lsn":26934512,"xmin":null},"transaction":{"id":"727:26934512","total_order":1,"data_collection_order":1},"message":{"prefix":"onhand.try1","content":"MjAyNi0xMS0yMiAyMjo0NzozOC45NDg3OTgrMDA="}}'
    assert reader.read(b'{"row":{"prefix":"onhand.try1"}}', value) == Mark(1795387658948)


def test_a_truncated_table() -> None:
    assert reader.read(b'{"row":null}', event("t", b"null")) == Truncated(QUANT)
    other = event("t", b"null").replace(b'"table":"quant"', b'"table":"not_captured"')
    assert reader.read(b'{"row":null}', other) == Nothing()


@pytest.mark.parametrize(
    "value",
    [
        {"control": "epoch", "epoch": 1795387656},
        {"control": "day", "date": "2026-11-22"},
        {"control": "mapping", "applied_at": 7},
    ],
)
def test_our_own_records(value: dict[str, Any]) -> None:
    key = b'{"row":{"control":"%b"}}' % value["control"].encode()
    assert reader.read(key, json.dumps(value).encode()) == Control(value["control"], value)


def test_a_row_of_a_table_that_is_not_captured() -> None:
    for other in (b"onhand.try1.public.other", b"onhand.try2.public.quant"):
        change = reader.read(KEY.replace(b"onhand.try1.public.quant", other), event("c"))
        assert isinstance(change, Rejection)
        assert "no captured table" in change.reason


def test_a_record_without_a_key() -> None:
    assert reader.read(None, event("c")) == reader.read(None, None) == Rejection("a record without a key")


@pytest.mark.parametrize(
    "value",
    [
        event("c", ROW.replace(b"197", b'"S3CRET"')),
        event("c", ROW.replace(b"197", b"null")),
        event("c", ROW.replace(b"3001", b"3001.5")),
        event("c", ROW.replace(b'"x"', b'["S3CRET"]')),
        event("c", b"null"),
        event("c", b'"S3CRET"'),
        event("c", b"{}"),
        event("r").replace(b'"lsn":26936304', b'"lsn":"S3CRET"'),
        event("c")[:-40],
        event("c", ROW.replace(b'"x"', b'"S3CRET\xff"')),
        b'"S3CRET"',
        b"[]",
        b"",
    ],
)
def test_what_cannot_be_read_names_the_table_and_never_a_value(value: bytes) -> None:
    change = reader.read(KEY, value)
    assert isinstance(change, Rejection)
    assert change.table == "public.quant"
    assert change.reason
    for secret in ("S3CRET", "197", "3001", "5.0000"):
        assert secret not in change.reason + change.table


@pytest.mark.parametrize("key", [b'{"row":{"name":"S3CRET"}}', b"S3CRET", b'{"row":{"id":"a:S3CRET"}}'])
def test_a_key_that_names_no_table_is_not_told(key: bytes) -> None:
    for value in (b"S3CRET", b'{"status":"END","id":"1:S3CRET"}', event("c").replace(b"197", b"S3CRET")):
        change = reader.read(key, value)
        assert isinstance(change, Rejection)
        assert "S3CRET" not in change.reason + change.table


def test_a_key_of_another_shape_is_rejected_when_it_is_all_there_is() -> None:
    for row in (b"null", b"{}", b'{"id":"x"}', b"[]"):
        key = b'{"row":%b,"__dbz__physicalTableIdentifier":"onhand.try1.public.quant"}}' % row
        for value in (None, event("d", b"null")):
            assert isinstance(reader.read(key, value), Rejection)


def test_a_value_nested_too_deep_is_rejected() -> None:
    deep = b'{"before":' + b"[" * 200_000
    for key in (KEY, b'{"row":{}}'):
        assert isinstance(reader.read(key, deep), Rejection)


KEYS = st.one_of(st.binary(), st.sampled_from([KEY, ITEM_KEY, b'{"row":{}}', b'{"row":null}']))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["op", "after", "source", "status", "id", "lsn", "ts_ms", "snapshot", "control", "event_count", "item_id"]
    ), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip
CHANGES = (RowChange, SnapshotRow, Truncated, Begin, End, Mark, Control, Nothing, Rejection)


@settings(deadline=None)
@given(KEYS, st.binary() | JSON.map(lambda v: json.dumps(v).encode()))
@example(b"", b"")
@example(b'{"row":{}}', b'{"status":"END","id":""}')
@example(b'{"row":{}}', b'{"status":"END","id":"%b"}' % (b"9" * 5000))
@example(b'{"row":{}}', b'{"status":"END","id":"1:1","event_count":99999999999999999999}')
def test_nothing_raises(key: bytes, value: bytes) -> None:
    assert isinstance(reader.read(key, value), CHANGES)


@settings(deadline=None)
@given(st.data())
def test_a_real_record_damaged_anywhere_never_raises(data: st.DataObject) -> None:
    value = bytearray(event("r"))
    for _ in range(data.draw(st.integers(1, 3))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(reader.read(KEY, bytes(value)), CHANGES)


@pytest.mark.parametrize("value", [{"control": "day"}, {"control": "day", "date": "tomorrow"}, {"control": "epoch"},
                                   {"control": "mapping", "applied_at": "x"}])  # fmt: skip
def test_a_control_record_that_is_not_ours_is_rejected(value: dict[str, str]) -> None:
    read = reader.read(b'{"row":{"control":"x"}}', json.dumps(value).encode())
    assert isinstance(read, Rejection)


@pytest.mark.parametrize("ms", [-1, 10**15])
def test_a_time_that_cannot_be_written_is_rejected(ms: int) -> None:
    end = b'{"status":"END","id":"1:1","ts_ms":%d}' % ms
    assert isinstance(reader.read(b'{"row":{}}', end), Rejection)
    row = event("r").replace(b"1795387662974,", b"%d," % ms)
    assert isinstance(reader.read(KEY, row), Rejection)
