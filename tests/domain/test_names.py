from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain import names

CODE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(item=CODE, warehouse=CODE, location=CODE, lot=CODE)
def test_a_key_says_its_dimensions_again(item: str, warehouse: str, location: str, lot: str) -> None:
    encoded = [names.encode(code) for code in (item, warehouse, location, lot)]
    key = names.detail_key("stock", encoded[0], encoded[1], [("location", encoded[2]), ("lot", encoded[3])])
    assert names.parse_key("stock", key) == {"item": item, "warehouse": warehouse, "location": location, "lot": lot}


def test_what_the_layout_reserves_is_encoded() -> None:
    assert names.encode("A:{1},x=y ~%") == "A%3A%7B1%7D%2Cx%3Dy%20%7E%25"
    assert names.encode("ä-物料/7.5") == "ä-物料/7.5"


def test_none_and_foreign_keys() -> None:
    assert names.parse_key("stock", "stock:{RIM}:WH:~") == {"item": "RIM", "warehouse": "WH"}
    assert names.parse_key("stock", "stock:{RIM}") == {"item": "RIM"}
    assert names.parse_key("stock", "stock:meta") == {}
    assert names.parse_key("stock", "other:{RIM}") == {}


def test_a_code_and_the_id_that_tells_it_apart() -> None:
    assert names.split_code("A%3A1~7") == ("A:1", "7")
    assert names.split_code(names.encode("~A")) == ("~A", "")
    assert names.split_code("~7") == ("", "7")
    key = names.detail_key("stock", "A~7", "W", [("lot", "L%2C1")])
    assert names.split_key("stock", key) == {"item": "A~7", "warehouse": "W", "lot": "L%2C1"}
