"""What a person can do about a row in quarantine, by why it is there."""

_AGAIN = "onhand quarantine replay has it read from the ERP anew"
_STRANGER = (
    "something other than the connector wrote into the log: find out what, then onhand quarantine drop, with the reason"
)
_TYPE = (
    "where the ERP's column changed its type: mend the pack or the catalog with onhand apply, then stop and start the"
    f" worker; where it is a single value: {_AGAIN}"
)
_VALUE = f"have the value mended in the ERP by its own means: the row leaves by itself; {_AGAIN}"


def remedy(reason: str, table: str) -> str:
    """In words; `reason` as the log's reader or the mapping engine gave it, `table` "" where that is not known."""
    if not table:
        return _STRANGER
    if reason.startswith(("DecodeError", "RecursionError", "an op", "op ")):
        return f"the record is not the connector's: {_AGAIN}"
    return (
        _TYPE
        if reason.startswith(("Expected", "Object missing", "the row has no column")) or "catalog's type" in reason
        else _VALUE
    )
