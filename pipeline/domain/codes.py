"""What people call a thing the ERP tells apart by an id: its code, unless it has none or shares it."""

from collections.abc import Hashable

from pipeline.domain.names import NONE, encode

_SOMEBODY = object()


def blank(value: Hashable) -> Hashable:
    """An identity value with NULL, blank text and id 0 folded into None, texts right-trimmed (the pack contract)."""
    if isinstance(value, str):
        return value.rstrip() or None
    return None if value == 0 else value


class Codes:
    """One dimension's ids and the codes seen with them. `stale` collects ids whose shown code may have changed."""

    def __init__(self) -> None:
        self._labels: dict[Hashable, dict[str, int]] = {}
        self._holders: dict[str, set[Hashable]] = {}
        self._shown: dict[Hashable, str] = {}
        self.stale: set[Hashable] = set()

    def add(self, ident: Hashable, label: object) -> None:
        """One more result row shows `ident` under `label`."""
        self._count(ident, label, +1)

    def remove(self, ident: Hashable, label: object) -> None:
        """One result row less shows `ident` under `label`."""
        self._count(ident, label, -1)

    def _count(self, ident: Hashable, label: object, step: int) -> None:
        if ident is None:
            return
        text = str(label).rstrip() if label is not None else ""  # "" = this row has no code
        labels = self._labels.get(ident)
        if labels is None:
            labels = self._labels[ident] = {}
        count = labels[text] = labels.get(text, 0) + step
        if count == (1 if step > 0 else 0):
            self._relabel(ident, text, labels)

    def _relabel(self, ident: Hashable, label: str, labels: dict[str, int]) -> None:
        holders = self._holders.setdefault(label, set()) if label else set()
        if labels[label]:
            holders.add(ident)
        else:
            del labels[label]
            holders.discard(ident)
        # a code gained or lost a holder: all who hold it are shown differently
        self.stale |= holders | {ident}
        if label and not holders:
            del self._holders[label]
        if not labels:
            del self._labels[ident]

    def share(self, label: str) -> None:
        """Show `label` with ids from now on: somebody beyond what is counted here has it too."""
        self._holders.setdefault(label, set()).add(_SOMEBODY)

    def settle(self) -> set[Hashable]:
        """Take the stale ids; return those that had a name and have another one now."""
        renamed = set()
        for ident in self.stale:
            before, now = self._shown.get(ident), self._name(ident)
            self._shown[ident] = now
            if before is not None and before != now:
                renamed.add(ident)
            if ident not in self._labels:
                del self._shown[ident]
        self.stale.clear()
        return renamed

    def show(self, ident: Hashable) -> str:
        """The encoded name of `ident` as of the last `settle`."""
        return self._shown.get(ident) or self._name(ident)

    def _name(self, ident: Hashable) -> str:
        if ident is None:
            return NONE
        label = min(filter(None, self._labels.get(ident, ())), default=None)
        if label is None:
            return NONE + encode(str(ident))
        shared = len(self._holders[label]) > 1
        return encode(label) + (NONE + encode(str(ident)) if shared else "")


class PlainCodes(Codes):
    """A dimension whose code is the ERP's own key: shown as it is, so there is nothing to count."""

    def add(self, ident: Hashable, label: object) -> None:
        """Nothing to do."""

    def remove(self, ident: Hashable, label: object) -> None:
        """Nothing to do."""

    def show(self, ident: Hashable) -> str:
        """The encoded code."""
        shown = self._shown.get(ident)
        if shown is None:
            shown = self._shown[ident] = NONE if ident is None else encode(str(ident))
        return shown
