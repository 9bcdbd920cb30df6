"""How far a source's log was folded and published; shared by the transport (Faust's side) and the fold (ours)."""

from dataclasses import dataclass


@dataclass(slots=True)
class Ledger:
    """Offsets of one log. `folded`: last offset folded; `published`: the offset to commit, with its `metadata`."""

    folded: int = -1
    published: int | None = None
    metadata: str = ""
    replay_until: int | None = None
    """The log's end when we were assigned it: replay is silent up to here."""
    committed_metadata: str = ""
    """What the group had committed with when we were assigned the log."""

    @property
    def seen(self) -> int:
        """Up to which offset workers before had published, and noted what was to be noted; -1: none had."""
        offset = self.committed_metadata.partition(" ")[0].rpartition(".")[2]
        return int(offset) if offset.isdecimal() else -1
