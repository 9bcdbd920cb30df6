"""Query shapes: each draws a schema and queries whose joins, arms and roots are of one pattern."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

from tests.query.differential.expressions import Col
from tests.query.differential.kinds import DATES
from tests.query.differential.mapping import From, Maker
from tests.query.differential.packs import packs

KINDS = ("stock", "orders", "movements", "items")


def star(m: Maker) -> None:
    """A fact with two or three dimensions, each joined by its key."""
    dimensions = [m.dimension() for _ in range(m.rng.randint(2, 3))]
    refs = [m.tables.references(d.pk) for d in dimensions]
    fact = m.fact([c for r in refs for c in r])
    source = m.start(fact, "f")
    for i, (table, ref) in enumerate(zip(dimensions, refs, strict=True)):
        source.join(f"d{i}", table, m.refs("f", ref, table.pk), left=m.chance(0.4))
    m.add("stock", [source])


def left_chain(m: Maker) -> None:
    """LEFT JOINs on unique keys, a composite key with a literal, and further conditions in ON."""
    top = m.dimension(width=2)
    top_refs = m.tables.references(top.pk)
    unique = [m.tables.column(c.kind, values=[v for v in c.values if v is not None]) for c in m.tables.key_columns()]
    mid = m.tables.table(m.tables.key_columns(), [*unique, *top_refs, *m.tables.some(2)], [unique])
    refs = m.tables.references(unique)
    fact = m.fact(refs)
    first = m.start(fact, "f").join("m", mid, m.refs("f", refs, unique), left=True, more=m.chance(0.7))
    pairs = m.refs("m", top_refs, top.pk)
    literal = top.pk[1] if top.pk[1].kind.family == "int" else None
    if literal and m.chance(0.5):
        pairs[1] = (str(m.rng.choice(literal.values)), literal)
    m.add("stock", [first.join("t", top, pairs, left=True, more=m.chance(0.5))])
    m.add("items", [m.start(mid, "m").join("t", top, pairs, left=False)])


def chain(m: Maker) -> None:
    """Four tables in a row."""
    tables, refs = [m.dimension(2)], []
    for _ in range(2):
        ref = m.tables.references(tables[-1].pk)
        tables.append(m.tables.table(m.tables.key_columns(), [*ref, *m.tables.some(2)]))
        refs.append(ref)
    ref = m.tables.references(tables[-1].pk)
    tables.append(m.fact(ref, 1))
    refs.append(ref)
    source = m.start(tables[3], "t3")
    for n in (2, 1, 0):
        pairs = m.refs(f"t{n + 1}", refs[n], tables[n].pk)
        source.join(f"t{n}", tables[n], pairs, left=m.chance(0.6), more=m.chance(0.2))
    m.add("stock", [source])


def tree(m: Maker) -> None:
    """A table joined to itself: parents, and one row as root, parent and target at once."""
    key = m.tables.key_columns()
    parent, target = m.tables.references(key), m.tables.references(key)
    place = m.tables.table(key, [*parent, *target, *m.tables.some(3)])
    refs = m.tables.references(key)
    entry = m.fact(refs, 1)
    source = m.start(entry, "e").join("p0", place, m.refs("e", refs, key), left=False)
    for n in range(m.rng.randint(1, 3)):
        source.join(f"p{n + 1}", place, m.refs(f"p{n}", parent, key), left=m.chance(0.8))
    m.add("stock", [source])
    root = m.start(place, "a").join("b", place, m.refs("a", parent, key), left=True)
    m.add("items", [root.join("c", place, m.refs("b", target, key), left=m.chance(0.5))])


def union(m: Maker) -> None:
    """WITH, a derived table, and arms of different facts, one of which has no key to join by."""
    lots = m.tables.table(m.tables.key_columns(1), m.tables.some(2))
    head = m.dimension(3)
    refs, lot = m.tables.references(head.pk), m.tables.references(lots.pk)
    body = m.fact([*refs, *lot], 1, ["int"])
    other = m.fact(m.tables.references(lots.pk), 1)
    item = m.tables.column(m.kinds.text(char=False))
    body.columns.append(item)
    quote = m.quote
    joined = m.start(body, "b").join("h", head, m.refs("b", refs, head.pk), left=m.chance(0.5))
    amount = next(c for c in body.columns if c.kind.family == "decimal" and c not in lot)
    names = ("item", "lot", "n")
    first = "SELECT " + ", ".join(
        f"b.{quote(c.name)} AS {n}_" for c, n in zip((item, lot[0], amount), names, strict=True)
    )
    second = f"SELECT b.{quote(item.name)}, NULL, {m.sql(joined.columns).number(1)}"
    inner = f"{first} FROM {joined.sql}{m.where(joined.columns)} UNION ALL {second} FROM {joined.sql}"
    columns = [Col("m.item_", item.kind), Col("m.lot_", lot[0].kind), Col("m.n_", replace(amount.kind, scale=12))]
    plain = From(m, "m", list(columns))
    derived = m.chance(0.5)
    if derived:
        plain.sql = f"({inner}) m"
    plain.join("l", lots, [("m.lot_", lots.pk[0])], left=True, more=m.chance(0.3))
    m.add("stock", [plain, m.start(other, "o")], head="" if derived else f"WITH m AS ({inner}) ")
    m.add("items", [m.start(head, "h"), m.start(other, "o"), m.start(lots, "l")])


def ledger(m: Maker) -> None:
    """Moves with two sides, and dates of moves and places against a CURRENT_DATE that turns."""
    place = m.tables.table(m.tables.key_columns(), [*m.tables.extras(["date"]), *m.tables.some(1)])
    left, right = m.tables.references(place.pk), m.tables.references(place.pk)
    move = m.fact([*left, *right, *m.tables.extras(["day_text"])], 1, ["date", "stamp"])
    sides = []
    for refs in (left, right):
        by, more = m.refs("v", refs, place.pk), m.chance(0.3)
        sides.append(m.start(move, "v").join("p", place, by, left=m.chance(0.3), more=more))
    m.add("stock", sides)
    m.add("movements", [m.start(move, "v")])


def arms(m: Maker) -> None:
    """Arms over one balance with conditions of their own, several of which count in one group."""
    item = m.dimension(1)
    refs = m.tables.references(item.pk)
    parts = m.tables.extras(["decimal", "decimal", "decimal"])
    balance = m.fact([*refs, *parts], 1)
    source = m.start(balance, "b").join("i", item, m.refs("b", refs, item.pk), left=m.chance(0.6))
    free, quality, blocked = (f"b.{m.quote(c.name)}" for c in parts)
    key = f"i.{m.quote(item.pk[0].name)}"
    if item.pk[0].kind.family not in ("int", "text"):
        key = "'I'"
    rows = [
        ("free", free, quality, ""),
        ("quality", quality, "0", f" WHERE {quality} <> 0"),
        ("free", f"-{blocked}", blocked, f" WHERE {blocked} > 0 AND ({m.sql(source.columns).condition(1)})"),
        ("free", quality, free, f" WHERE {free} IS NULL OR {quality} > 1"),
    ]
    m.rng.shuffle(rows)
    m.queries["stock"] = " UNION ALL ".join(
        f"SELECT {key} AS item, 'W' AS warehouse, '{status}' AS status, {q} AS on_hand, {r} AS reserved"
        f" FROM {source.sql}{where}"
        for status, q, r, where in rows[: m.rng.randint(2, 4)]
    )
    m.add("items", [m.start(balance, "b")])


def shared(m: Maker) -> None:
    """All four queries over the same few tables."""
    item, order = m.dimension(3), m.dimension(3)
    items, orders = m.tables.references(item.pk), m.tables.references(order.pk)
    line = m.fact([*items, *orders], 2)
    for kind in KINDS[: m.rng.randint(2, 4)]:
        source = m.start(line, "x")
        for alias, table, refs in (("i", item, items), ("o", order, orders)):
            if m.chance(0.7):
                source.join(alias, table, m.refs("x", refs, table.pk), left=m.chance(0.5), more=m.chance(0.2))
        m.add(kind, [source])


def strings(m: Maker) -> None:
    """Text keys of one collation, CHAR or not, alone and beside others, concatenated."""
    kind = m.kinds.text(key=True)
    while len({kind.same(v) for v in kind.values}) < 4:
        kind = m.kinds.text(key=True)
    values = list({kind.same(v): v for v in kind.values}.values())[:6]
    code = m.tables.column(kind, nullable=False, values=values)
    dimension = m.tables.table([code], [*m.tables.extras(["text", "text"]), *m.tables.some(1)])
    # Any spelling of the key finds it, and rows may hold a spelling of their own.
    refs = [m.tables.column(kind)]
    unique = m.tables.column(kind)
    other = m.tables.table(m.tables.key_columns(), [unique, *m.tables.extras(["text", "int"])], [[unique]])
    fact = m.fact(refs, 1, ["text", "text"])
    source = m.start(fact, "f").join("d", dimension, m.refs("f", refs, [code]), left=m.chance(0.5))
    m.add("stock", [source.join("u", other, m.refs("f", refs, [unique]), left=m.chance(0.7), more=m.chance(0.4))])
    m.add("items", [m.start(dimension, "d"), m.start(fact, "f")])


def flags(m: Maker) -> None:
    """Conditions made of booleans and bits."""
    dimension = m.tables.table(m.tables.key_columns(), m.tables.extras(["flag", "flag", "int"]))
    refs = m.tables.references(dimension.pk)
    fact = m.fact(refs, 1, ["flag", "flag", "text"])
    source = m.start(fact, "f").join("d", dimension, m.refs("f", refs, dimension.pk), left=m.chance(0.6), more=True)
    m.add("stock", [source])
    m.add("items", [m.start(dimension, "d")])


def params(m: Maker) -> None:
    """Typed parameters, alone and as lists."""
    dimension = m.dimension(2)
    refs = m.tables.references(dimension.pk)
    fact = m.fact(refs, 1, ["text", "int", "date"])
    source = m.start(fact, "f").join("d", dimension, m.refs("f", refs, dimension.pk), left=m.chance(0.5))
    m.add("stock", [source, m.start(fact, "f")], grouped=False)
    sql = m.sql(m.start(fact, "f").columns)
    text, number = m.rng.choice(sql.of("text", "char")), m.rng.choice(sql.of("int"))
    date = m.rng.choice(sql.of("date"))
    words = text.kind.values or ("",)
    m.params.update(
        word=m.rng.choice(words), words=m.rng.sample(words, min(2, len(words))), number=m.rng.choice((-1, 0, 2)),
        numbers=[1, 2, 7], day=_day(m),
    )  # fmt: skip
    tests = [
        f"{text.sql} = :word", f"{text.sql} NOT IN (:words)", f"{number.sql} > :number", f"{number.sql} IN (:numbers)",
        f"{date.sql} <= :day", f"({number.sql} = :number OR {text.sql} IN (:words))",
    ]  # fmt: skip
    for kind in ("stock", "items"):
        if kind == "items":
            m.add(kind, [m.start(fact, "f")], grouped=False)
        used = " OR ".join(m.rng.sample(tests, 3))
        m.queries[kind] += f"{' AND' if _ends_in_where(m.queries[kind]) else ' WHERE'} ({used} OR {number.sql} = 2)"


def computed(m: Maker) -> None:
    """Joins whose key is computed: from the fact, from a joined row, from a row of the same table."""
    top = m.dimension(2)
    unique, key = m.tables.column(m.kinds.key()), m.tables.key_columns()
    top_refs, parent, refs = m.tables.references(top.pk), m.tables.references(key), m.tables.references([unique])
    mid = m.tables.table(key, [unique, *top_refs, *parent, *m.tables.some(2)], [[unique]])
    fact = m.fact(refs, 1, ["date", "stamp"])
    left = m.chance(0.5)
    source = m.start(fact, "f").join("m", mid, m.computed("f", fact, refs, [unique], outer=False), left=left)
    by = m.computed("m", mid, top_refs, top.pk, outer=left)
    m.add("stock", [source.join("t", top, by, left=m.chance(0.5), more=m.chance(0.4))])
    tree = m.start(mid, "a").join("b", mid, m.computed("a", mid, parent, key, outer=False), left=True)
    m.add("items", [tree.join("c", mid, m.computed("b", mid, parent, key, outer=True), left=m.chance(0.5))])


def _day(m: Maker) -> date:
    return date.fromisoformat(m.rng.choice(DATES))


def _ends_in_where(sql: str) -> bool:
    return " WHERE " in sql.rpartition(" UNION ALL ")[2]


SHAPES: dict[str, Callable[[Maker], None]] = {
    f.__name__: f
    for f in (star, left_chain, chain, tree, computed, union, ledger, arms, shared, strings, flags, params, packs)
}
