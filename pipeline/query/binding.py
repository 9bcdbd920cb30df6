"""Parameters become typed literals, and each dialect's spelling of today, alone or as a text, one node."""

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from pipeline.query.place import MappingText

Scalar = int | str | date
Params = Mapping[str, "Scalar | list[Scalar]"]

_SPELLED = (
    exp.National, exp.DateStrToDate, exp.Cast, exp.DateTrunc, exp.Anonymous, exp.Trunc, exp.TimeToStr, exp.ToChar,
    exp.Convert,
)  # fmt: skip
_TIME_KINDS = (exp.DataType.Type.DATE, exp.DataType.Type.TIMESTAMP)
# What today as a text may look like (a format as sqlglot normalises it or not, or SQL Server's style) -> its node,
# YYYYMMDD or YYYY-MM-DD.
_TODAY_TEXTS: Mapping[str, type[exp.Expr]] = {
    **dict.fromkeys(("%Y%m%d", "YYYYMMDD", "112"), exp.DateToDi),
    **dict.fromkeys(("%Y-%m-%d", "YYYY-MM-DD", "23"), exp.DateToDateStr),
}
_SIZES: Mapping[type[exp.Expr], str] = {exp.DateToDi: "8", exp.DateToDateStr: "10"}


def bind(text: MappingText, tokens: Sequence[Token], tree: exp.Expr, params: Params, dialect: str) -> None:
    """Change `tree` in place; PackError for a parameter that has no value or stands where it cannot."""
    marks = {b.text: a.start for a, b in pairwise(tokens) if a.token_type == TokenType.COLON}
    for mark in list(tree.find_all(exp.Placeholder)):
        _bind_one(text, marks.get(mark.name, 0), mark, params)
    for node in list(tree.find_all(*_SPELLED)):
        if dialect == "oracle" and type(node) is exp.Cast:
            _check_session_date(text, node)
        if plain := _plain(node, dialect):
            node.replace(plain)


def _bind_one(text: MappingText, offset: int, mark: exp.Expr, params: Params) -> None:
    if mark.name not in params:
        text.refuse_at(offset, f"parameter :{mark.name} has no value", f"declare [params.{mark.name}] in pack.toml")
    value = params[mark.name]
    if not isinstance(value, list):
        mark.replace(_literal(value))
        return
    within = mark.parent
    if not isinstance(within, exp.In) or len(within.expressions) != 1 or mark is within.this:
        text.refuse_at(offset, f"list parameter :{mark.name} outside of IN", f"write x IN (:{mark.name})")
    if not value:
        text.refuse_at(offset, f"list parameter :{mark.name} is empty", f"give [params.{mark.name}] a value")
    within.set("expressions", [_literal(v) for v in value])


def _literal(value: Scalar) -> exp.Expr:
    if isinstance(value, date):
        return exp.cast(exp.Literal.string(value.isoformat()), "date")
    if isinstance(value, int):
        return exp.Literal.number(abs(value)) if value >= 0 else exp.Neg(this=exp.Literal.number(-value))
    return exp.Literal.string(value)


def _check_session_date(text: MappingText, node: exp.Cast) -> None:
    """CAST('..' AS DATE), but not DATE '..', is read by the session's format. A bound parameter has no place."""
    if isinstance(node.this, exp.Literal) and node.to.is_type(*_TIME_KINDS) and "start" in node.this.meta:
        text.refuse(node, "Oracle reads this by the session's date format", "write DATE '2026-01-31'")


def _plain(node: exp.Expr, dialect: str) -> exp.Expr | None:
    """The same in the grammar's own nodes, or None."""
    if isinstance(node, exp.National):
        return _at(node, exp.Literal.string(node.name))
    if isinstance(node, exp.DateStrToDate):
        return exp.cast(node.this, "date")
    if isinstance(node, exp.TimeToStr | exp.ToChar):
        return _today_text(node.this, node.text("format"), dialect)
    if isinstance(node, exp.Convert) and dialect == "tsql":
        return _today_convert(node)
    return exp.CurrentDate() if _is_today(node, dialect) else _truncated(node, dialect)


def _truncated(node: exp.Expr, dialect: str) -> exp.Expr | None:
    """Oracle's TRUNC(x) of a date."""
    if dialect != "oracle":
        return None
    if isinstance(node, exp.Anonymous) and node.name.upper() == "TRUNC" and len(node.expressions) == 1:
        return exp.Date(this=node.expressions[0])
    return exp.Date(this=node.this) if isinstance(node, exp.Trunc) and not node.args.get("decimals") else None


def _at(node: exp.Expr, plain: exp.Expr) -> exp.Expr:
    plain.meta.update(node.meta)
    return plain


def _is_today(node: exp.Expr, dialect: str) -> bool:
    """CAST(GETDATE() AS date) of T-SQL and TRUNC(SYSDATE) of Oracle; CURRENT_DATE is a node already."""
    if isinstance(node, exp.TsOrDsToTimestamp):
        return _is_today(node.this, dialect)
    if isinstance(node, exp.CurrentDate):
        return dialect in ("postgres", "mysql")
    now = node.this if isinstance(node, exp.Cast | exp.DateTrunc) else None
    if not isinstance(now, exp.CurrentTimestamp):
        return False
    if isinstance(node, exp.Cast):
        return dialect == "tsql" and node.to.is_type(exp.DataType.Type.DATE)
    return dialect == "oracle" and bool(now.args.get("sysdate")) and node.args["unit"].name.upper() in ("DAY", "DD")


def _today_text(node: exp.Expr, spelled: str, dialect: str) -> exp.Expr | None:
    """TO_CHAR(CURRENT_DATE, 'YYYYMMDD'), DATE_FORMAT(CURDATE(), '%Y%m%d'), TO_CHAR(SYSDATE, ..)."""
    is_now = dialect == "oracle" and isinstance(node, exp.CurrentTimestamp) and node.args.get("sysdate")
    if spelled not in _TODAY_TEXTS or not (is_now or _is_today(node, dialect)):
        return None
    return _TODAY_TEXTS[spelled](this=exp.CurrentDate())


def _today_convert(node: exp.Convert) -> exp.Expr | None:
    """CONVERT(char(8), GETDATE(), 112) and CONVERT(char(10), GETDATE(), 23)."""
    style = node.args.get("style")
    kind = _TODAY_TEXTS.get(style.name if style else "")
    sizes = [p.name for p in node.this.expressions]
    if kind is None or not isinstance(node.expression, exp.CurrentTimestamp) or sizes != [_SIZES[kind]]:
        return None
    return kind(this=exp.CurrentDate()) if node.this.is_type(*exp.DataType.TEXT_TYPES) else None
