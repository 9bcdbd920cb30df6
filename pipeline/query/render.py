"""The same query for the ERP: the author's own text, parameters as literals, wrapped to one row a key."""

from datetime import date

from sqlglot.tokenizer_core import Token, TokenType

from pipeline.query.binding import Params, Scalar
from pipeline.query.parse import Parsed
from pipeline.query.plan import QueryPlan

ROWS = "onhand_rows"  # rows behind a key, where the text itself groups


def for_erp(plan: QueryPlan, params: Params) -> str:
    """[WITH ..] SELECT keys, COUNT(*), SUM(amount).. FROM (text) q GROUP BY keys."""
    pieces = _pieces(plan.parsed, params)
    start = _body_start(plan.parsed)
    if plan.grouped:
        _count_rows(plan, pieces, start)
    count = f"SUM(q.{ROWS})" if plan.grouped else "COUNT(*)"
    keys = ", ".join(f"q.{k}" for k in plan.keys)
    sums = "".join(f", SUM(q.{a})" for a in plan.amounts)
    head, body = "".join(pieces[:start]), "".join(pieces[start:]).strip()
    # SUM without GROUP BY yields a row even of no rows
    kept = f" HAVING {count} > 0" if plan.grouped else ""
    return f"{head}SELECT {keys}, {count}{sums} FROM (\n{body}\n) q GROUP BY {keys}{kept}"  # noqa: S608 -- the pack author's own SQL


def _pieces(parsed: Parsed, params: Params) -> list[str]:
    """The text token by token (white space and comments in front), parameters replaced; one piece a token."""
    pieces, end, tokens = [], 0, parsed.tokens
    for i, token in enumerate(tokens):
        between, end = parsed.text.sql[end : token.start], token.end + 1
        if _is_mark(tokens, i):
            pieces.append(between)
        elif i and _is_mark(tokens, i - 1):
            pieces.append(for_literal(params[token.text], parsed.dialect))
        elif token.token_type == TokenType.SEMICOLON:
            pieces.append(between)
        else:
            pieces.append(between + parsed.text.sql[token.start : end])
    return pieces


def _is_mark(tokens: tuple[Token, ...], i: int) -> bool:
    return tokens[i].token_type == TokenType.COLON and i + 1 < len(tokens)


def for_literal(value: "Scalar | list[Scalar]", dialect: str) -> str:
    """A value as the dialect writes it; a list as IN (..) takes it."""
    if isinstance(value, list):
        return ", ".join(for_literal(v, dialect) for v in value)
    if isinstance(value, date):
        return f"CAST('{value.isoformat()}' AS date)" if dialect == "tsql" else f"DATE '{value.isoformat()}'"
    if isinstance(value, int):
        return str(value)
    quoted = value.replace("\\", "\\\\") if dialect == "mysql" else value
    # SQL Server reads '..' by the database's code page.
    national = "N" if dialect == "tsql" and not value.isascii() else ""
    return f"{national}'" + quoted.replace("'", "''") + "'"


def _depths(parsed: Parsed) -> list[int]:
    """Each token's depth in parentheses."""
    depths, depth = [], 0
    for token in parsed.tokens:
        depth -= token.token_type == TokenType.R_PAREN
        depths.append(depth)
        depth += token.token_type == TokenType.L_PAREN
    return depths


def _body_start(parsed: Parsed) -> int:
    """The token after a leading WITH clause: the first SELECT, or (SELECT, outside of the clause's queries."""
    tokens, depths = parsed.tokens, _depths(parsed)
    if tokens[0].token_type != TokenType.WITH:
        return 0
    for i, token in enumerate(tokens):
        opens = token.token_type == TokenType.L_PAREN and tokens[i - 1].text.upper() != "AS"
        if depths[i] == 0 and (token.token_type == TokenType.SELECT or opens):
            return i
    return 0


def _count_rows(plan: QueryPlan, pieces: list[str], start: int) -> None:
    """Let each arm also say how many rows are behind its sums."""
    parsed, depths = plan.parsed, _depths(plan.parsed)
    froms = [i for i, t in enumerate(parsed.tokens) if i >= start and not depths[i] and t.token_type == TokenType.FROM]
    ends = [*froms[1:], len(parsed.tokens)]
    if len(froms) != plan.arms:
        parsed.text.refuse(parsed.tree, "an arm in parentheses beside GROUP BY", "drop the parentheses, or GROUP BY")
    for begin, at, end in zip([start, *froms], froms, ends, strict=False):
        grouped = any(not depths[i] and parsed.tokens[i].token_type == TokenType.GROUP_BY for i in range(at, end))
        summed = any(parsed.tokens[i].text.upper() == "SUM" for i in range(begin, at))
        pieces[at] = f", {'COUNT(*)' if grouped or summed else '1'} AS {ROWS}{pieces[at]}"
