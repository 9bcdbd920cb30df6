"""Refusals by the spelling, token by token, before the parser: it reads all dialects' SQL in every dialect, and more.

Only here are the exact place and the author's own words known. What passes, the ERP's own database reads too.
"""

import re
from collections.abc import Container, Sequence

from sqlglot.tokenizer_core import Token, TokenType

from pipeline.query.fixes import FOREIGN, INSTEAD, REFUSED
from pipeline.query.grammar import BEFORE_PARENTHESIS, FUNCTIONS, SIGNS
from pipeline.query.place import MappingText
from pipeline.query.scopes import Scopes

LONGEST_TEXT = 100_000  # characters; the longest query of eight ERPs has 3,000

_BLANKS = r"[ \t\r\n\f]"
_COMMENT = r"/\*(?!\+)(?:(?!/\*|\*/).)*\*/"  # neither a hint nor one inside another, which only some databases allow
_GAP = re.compile(rf"(?:{_BLANKS}|--[^\n]*|{_COMMENT})*", re.DOTALL)
# MySQL runs what stands in /*! .. */, and reads a--1 as a - -1.
_MYSQL_GAP = re.compile(rf"(?:{_BLANKS}|--(?=\s|\Z)[^\n]*|#[^\n]*|(?!/\*M?!){_COMMENT})*", re.DOTALL)
_OPENERS = ("'", '"', "`", "[", "/*", "$$")
_QUOTES = r"--[^\n]*|/\*.*?\*/|{text}|\"[^\"]*\"|`[^`]*`|\[[^\]]*\]|\$\$.*?\$\$|[^'\"`/$\[-]+|/\*|\$\$|."
_ITEMS = re.compile(_QUOTES.format(text="'[^']*'"), re.DOTALL)
_ITEMS_MYSQL = re.compile(_QUOTES.format(text=r"'(?:[^'\\]|\\.)*'"), re.DOTALL)
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ud800-\udfff]")
_NAME = re.compile(r"[^\W\d][\w$]*")

_TEXTS = (TokenType.STRING, TokenType.NATIONAL_STRING)
_QUOTED = (*_TEXTS, TokenType.IDENTIFIER)
_OTHER_TEXTS = (
    TokenType.BIT_STRING, TokenType.BYTE_STRING, TokenType.HEX_STRING, TokenType.HEREDOC_STRING,
    TokenType.INTRODUCER, TokenType.RAW_STRING, TokenType.UNICODE_STRING,
)  # fmt: skip
# After one of these a text would be taken for a name, or be glued to the text before it.
_OPERANDS = (*_QUOTED, TokenType.VAR, TokenType.NUMBER, TokenType.R_PAREN, TokenType.ALIAS)


def check_size(text: MappingText) -> None:
    """Refuse what no parser should be asked to read: too long, or with control characters."""
    if len(text.sql) > LONGEST_TEXT:
        text.refuse_at(0, f"a query of more than {LONGEST_TEXT} characters", "filter in the ERP's own terms, join less")
    if found := _CONTROL.search(text.sql):
        text.refuse_at(found.start(), f"a control character ({found[0]!r})", "remove it")


def check_spelling(text: MappingText, dialect: str, tokens: Sequence[Token], names: Container[str] = ()) -> None:
    """PackError at the first token that is not the grammar's, or not the dialect's; `names` are never its words."""
    words = [_word(token) for token in tokens]
    scopes, end = Scopes(text, dialect, tokens, words), 0
    for i, token in enumerate(tokens):
        _check_gap(text, dialect, end, token.start)
        end = token.end + 1
        _check_quoting(text, dialect, tokens, i)
        if token.text not in names or words[i + 1 : i + 2] == ["("]:
            _check_word(text, dialect, words, i, token)
        _check_beginning(text, words, i, token)
        scopes.follow(i)
    _check_gap(text, dialect, end, len(text.sql))
    scopes.finish()


def check_ends(text: MappingText, dialect: str) -> None:
    """Refuse a quote or comment that is never closed, where it begins."""
    item = _ITEMS_MYSQL if dialect == "mysql" else _ITEMS
    for found in item.finditer(text.sql):
        if found[0] in _OPENERS:
            text.refuse_at(
                found.start(), f"the text ends inside a quote or comment: {found[0]} is never closed", "close it"
            )


def _word(token: Token) -> str:
    is_word = token.token_type not in (*_QUOTED, *_OTHER_TEXTS)
    return token.text.upper().partition(" ")[0] if is_word else ""


def _check_gap(text: MappingText, dialect: str, start: int, end: int) -> None:
    gap = text.sql[start:end]
    found = (_MYSQL_GAP if dialect == "mysql" else _GAP).match(gap)
    if found and found.end() < len(gap):
        fix = "between words only blanks and comments: -- up to the line's end, or /* .. */ without another inside"
        text.refuse_at(start + found.end(), f"{gap[found.end() :][:4]!r} is read differently by databases", fix)


def _check_quoting(text: MappingText, dialect: str, tokens: Sequence[Token], i: int) -> None:
    token, before = tokens[i], tokens[i - 1] if i else None
    is_text = token.token_type in _TEXTS
    if token.token_type in _OTHER_TEXTS:
        written = text.sql[token.start : token.end + 1][:12]
        text.refuse_at(token.start, f"{written} is not a plain text", "write 'like this', or N'like this'")
    trims = before is not None and before.text.upper() in ("BOTH", "LEADING", "TRAILING")
    if token.token_type == TokenType.VAR and not _NAME.fullmatch(token.text):
        text.refuse_at(token.start, f"{token.text} is no plain name", "begin with a letter, or quote it")
    if before is None:
        return
    if is_text and before.token_type in _OPERANDS and not trims:
        text.refuse_at(token.start, "a text cannot stand here", "name columns AS name; join texts with an operator")
    if is_text and dialect == "tsql" and before.token_type in (TokenType.DATE, TokenType.TIMESTAMP):
        text.refuse_at(before.start, f"{before.text} '..' is not SQL Server's", "write CAST('2026-01-31' AS date)")
    if before.token_type == TokenType.NUMBER and token.start == before.end + 1 and token.token_type == TokenType.VAR:
        text.refuse_at(before.start, f"{before.text}{token.text} is neither a number nor a name", "put a blank between")


def _check_word(text: MappingText, dialect: str, words: Sequence[str], i: int, token: Token) -> None:
    word, before = words[i], words[i - 1] if i else ""
    called = words[i + 1 : i + 2] == ["("] and word[:1].isalpha()
    if called and (before == "." or (word not in FUNCTIONS[dialect] and word not in BEFORE_PARENTHESIS)):
        _refuse_call(text, dialect, word, token)
    if not word or called or before == "." or token.token_type == TokenType.VAR:
        return
    if word == "DISTINCT" and before in ("IS", "NOT"):
        word = "IS DISTINCT"
    if fix := FOREIGN[dialect].get(word) or REFUSED.get(word):
        text.refuse_at(token.start, f"{word} is not part of a mapping query", fix)
    if not word[0].isalnum() and word not in SIGNS:
        text.refuse_at(token.start, f"{word} is not part of a mapping query", f"use {' '.join(sorted(SIGNS))}")
    if word == "UNION" and words[i + 1 : i + 2] != ["ALL"]:
        text.refuse_at(token.start, "UNION without ALL is not part of a mapping query", "write UNION ALL")


def _check_beginning(text: MappingText, words: Sequence[str], i: int, token: Token) -> None:
    if i == 0 and words[0] not in ("SELECT", "WITH", "("):
        text.refuse_at(
            token.start, f"a query does not begin with {token.text}", "write SELECT .. [UNION ALL SELECT ..]"
        )
    if i and words[i - 1] == ";" and words[i] != ";":
        text.refuse_at(token.start, "a second statement", "write exactly one query in a file")


def _refuse_call(text: MappingText, dialect: str, word: str, token: Token) -> None:
    if fix := FOREIGN[dialect].get(word) or REFUSED.get(word) or INSTEAD.get(word):
        text.refuse_at(token.start, f"{word} is not part of a mapping query", fix)
    known = ", ".join(sorted(FUNCTIONS[dialect]))
    text.refuse_at(token.start, f"{word}() is not part of a {dialect} mapping query", f"use one of {known}")
