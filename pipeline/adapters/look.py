"""What the worker has Redis compared with (`mend.lua`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.domain.documents import Document


@dataclass(slots=True)
class Look:
    """What Redis must hold beside the cut of `meta`; what it holds otherwise is mended.

    `strangers`: keys that nothing has, ghosts unless they are newer than `since`, all of levels or all of `orders`;
    `members`: of the negative ones, that no level is; `alerts`: id and JSON of those that differ, "" = none. Documents
    up to the version `inherited` may be an earlier worker's, which saw what may have left the log since.
    """

    meta: Mapping[str, str]
    inherited: str = ""
    documents: Sequence[Document] = ()
    strangers: Sequence[str] = ()
    since: str = ""
    orders: bool = False
    members: Sequence[str] = ()
    alerts: Sequence[tuple[str, str]] = ()
