"""Many primary keys behind one index key are a set, whatever comes and goes in whatever order."""

from random import Random

import pytest

from pipeline.query import pks
from pipeline.query.pks import Pks


@pytest.mark.parametrize("make", [int, str, lambda n: (n % 3, str(n))], ids=["ints", "texts", "tuples"])
def test_it_is_a_set(monkeypatch, make):
    monkeypatch.setattr(pks, "_PART", 4)
    rng = Random(1)
    held, model = Pks([make(0)]), {make(0)}
    for _ in range(5000):
        pk = make(rng.randrange(100))
        if rng.random() < 0.5 and model:
            held.discard(pk)
            model.discard(pk)
        elif model:
            held.add(pk)
            model.add(pk)
        else:
            held, model = Pks([pk]), {pk}
        assert list(held) == sorted(model)
        assert bool(held) == bool(model)
        assert all(0 < len(part) <= 9 for part in held._parts)


def test_upwards_downwards_and_gone():
    for order in (range(10_000), range(10_000, 0, -1)):
        held = Pks([5])
        for pk in order:
            held.add(pk)
        assert list(held) == sorted({*order, 5})
        for pk in [*held]:
            held.discard(pk)
            held.discard(pk)
        assert not held
