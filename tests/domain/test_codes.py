from pipeline.domain.codes import Codes


def test_only_what_is_shown_otherwise_is_renamed() -> None:
    codes = Codes()
    codes.add(1, "A")
    assert codes.settle() == set()
    codes.add(1, "B")  # an id with two codes keeps the first in order
    assert codes.settle() == set()
    codes.remove(1, "A")
    assert codes.settle() == {1}
    assert codes.show(1) == "B"
