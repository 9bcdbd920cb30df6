"""Has the ERP's schema moved away from what was applied? Looked at again and again while a source is captured."""

from pipeline.adapters.erp import connect, inspect
from pipeline.adapters.erp_preflight import left_out
from pipeline.applied import Applied
from pipeline.query import compile_source
from pipeline.query.drift import differences
from pipeline.settings import Source


def drift(source: Source, applied: Applied) -> list[str]:
    """A sentence for each difference that makes the served numbers doubtful. NotReadyError when the ERP is away.

    What the publication leaves out is one too: Debezium is silent about it.
    """
    captured = compile_source(applied.mapping_texts, applied.schema, applied.params).captured
    found = [d.what for d in differences(applied.schema, inspect(source, list(captured)), captured)]
    if source.is_mariadb:  # its binlog leaves nothing out
        return found
    with connect(source) as c:
        wrong = left_out(c, source.publication, captured)
    return found or [f"publication {source.publication}: {what}" for what in wrong]
