"""Reading our Markdown: fenced blocks, code spans, links, tables, headings."""

import re

from infra.stack.site import ROOT

DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "docs/runbook.md", "docs/map-your-own-erp.md")
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def text(document: str) -> str:
    """A document's Markdown."""
    return (ROOT / document).read_text()


def blocks(document: str, language: str) -> list[str]:
    """Its fenced blocks of one language, outdented."""
    found = _FENCE.findall(text(document))
    return [re.sub(f"^{indent}", "", body, flags=re.MULTILINE) for indent, name, body in found if name == language]


def steps(document: str) -> list[tuple[str, str]]:
    """All its fenced blocks in order: language, text."""
    return [(name, body) for _, name, body in _FENCE.findall(text(document))]


def spans(document: str) -> list[str]:
    """Its code spans outside fenced blocks."""
    return re.findall(r"`([^`\n]+)`", _FENCE.sub("", text(document)))


def links(document: str) -> list[str]:
    """Where its links and pictures lead."""
    return re.findall(r"\]\(([^)\s]+)\)", _FENCE.sub("", text(document)))


def anchors(document: str) -> set[str]:
    """Its headings as a link names them."""
    headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", text(document)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table(document: str, first_column: str) -> dict[str, str]:
    """The table whose head begins with `first_column`: code spans of the first cell to the second cell."""
    after = text(document).partition(f"| {first_column} |")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ", 1) for line in after.splitlines()[2:]]
    return {name: says for cell, says in rows for name in re.findall(r"`([^`]+)`", cell)}
