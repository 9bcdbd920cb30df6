"""Python source, line by line."""

from collections.abc import Iterable


class Writer:
    """Indented lines."""

    def __init__(self, depth: int = 0) -> None:
        self.lines: list[str] = []
        self.depth = depth

    def line(self, text: str) -> None:
        """A line at the present depth."""
        self.lines.append("    " * self.depth + text)

    def lines_at(self, texts: Iterable[str]) -> None:
        """Lines at the present depth, their own indentation kept."""
        for text in texts:
            self.line(text)

    def block(self, text: str) -> None:
        """A line whose followers stand one deeper; lower `depth` to end it."""
        self.line(text)
        self.depth += 1
