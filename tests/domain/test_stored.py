"""A stored state: the same bytes for the same state, and no others taken for it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.errors import UsageError
from pipeline.domain.stored import Difference, Header, Stored, differences, from_bytes, of_item, to_bytes

HEADER = Header("erp", "stock", 7, "0/1A", "2026-11-25T10:00:00.000Z", "d1", 0)
names = st.sampled_from(["on_hand", "usable", "available", "on_hand:free", "w:MAIN"])
documents = st.dictionaries(
    st.text(max_size=6), st.dictionaries(names, st.decimals(-9, 9, places=2).map(str)), max_size=4
)


@given(documents)
def test_what_is_stored_is_read_again(held: dict[str, dict[str, str]]) -> None:
    content = to_bytes(Stored(HEADER, held))
    assert from_bytes(content, "f") == Stored(HEADER, held)
    shuffled = {key: dict(reversed(held[key].items())) for key in reversed(held)}
    assert to_bytes(Stored(HEADER, shuffled)) == content


@given(st.data())
def test_a_changed_byte_is_found(data: st.DataObject) -> None:
    content = bytearray(to_bytes(Stored(HEADER, {"stock:{A}": {"on_hand": "1"}})))
    at = data.draw(st.integers(0, len(content) - 2))
    content[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(UsageError):
        from_bytes(bytes(content), "f")


def test_what_depends_on_the_folding_is_left_out() -> None:
    held = {"stock:{A}": {"on_hand": "1", "changed": "2026", "v": "3", "degraded": "1"}}
    assert json.loads(to_bytes(Stored(HEADER, held)).splitlines()[1]) == {"key": "stock:{A}", "on_hand": "1"}


def test_differences_have_both_numbers() -> None:
    before = {"a": {"on_hand": "1.50", "w:M": "1"}, "b": {"on_hand": "2"}, "d": {"on_hand": "0"}}
    after = {"a": {"on_hand": "1.5", "w:M": "9"}, "c": {"on_hand": "-4.25"}, "d": {"on_hand": "x"}}
    found = list(differences(before, after))
    assert found == [
        Difference("b", "on_hand", "2", None),
        Difference("c", "on_hand", None, "-4.25"),
        Difference("d", "on_hand", "0", "x"),
    ]
    assert [d.amount for d in found] == ["-2", "-4.25", ""]
    by_name = [d.field for d in differences({}, {"a": {"usable": "1", "on_hand": "1", "available": "1"}})]
    assert by_name == ["available", "on_hand", "usable"]


def test_an_item_by_its_code_or_as_keys_spell_it() -> None:
    keys = ("stock:{A}", "stock:{A}:M", "stock:{A~7}:M", "stock:{~7}", "stock:{A%3A}:N~2:lot=1", "stock:{AB}")
    held = {key: {"on_hand": "1"} for key in keys}
    assert list(of_item("stock", held, "A")) == ["stock:{A}", "stock:{A}:M", "stock:{A~7}:M"]
    assert list(of_item("stock", held, "A~7")) == ["stock:{A~7}:M"]
    assert list(of_item("stock", held, "~7")) == ["stock:{~7}"]
    assert list(of_item("stock", held, "A:", "N")) == ["stock:{A%3A}:N~2:lot=1"]
    assert list(of_item("stock", held, "A", "M")) == ["stock:{A}:M", "stock:{A~7}:M"]
