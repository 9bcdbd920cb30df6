"""What a pack's query must yield: output names say what a column is (pack contract, "The name is the type")."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Contract:
    """The output columns of one kind of query. Every name in `ids` may also be yielded as `<name>_id`."""

    identity: tuple[str, ...]
    attributes: tuple[str, ...]
    amounts: tuple[str, ...]
    required: tuple[str, ...]

    @property
    def keys(self) -> frozenset[str]:
        """Every name that is not an amount."""
        names = self.identity + self.attributes
        return frozenset(names) | {f"{n}_id" for n in names if n in WITH_ID}


# A name of these may come with the ERP's id, which then tells rows apart instead of the code people read.
WITH_ID = frozenset(["item", "warehouse", "location", "lot", "owner", "order_no", "order_line", "line", "doc_no"])

_STOCK_KEYS = (
    "org",
    "item",
    "variant",
    "warehouse",
    "location",
    "lot",
    "serial",
    "expiry",
    "owner",
    "project",
    "status",
    "uom",
)

CONTRACTS = {
    "stock": Contract(
        identity=_STOCK_KEYS,
        attributes=(),
        amounts=("on_hand", "reserved", "aux_on_hand"),
        required=("item", "warehouse", "on_hand"),
    ),
    "orders": Contract(
        identity=("org", "order_no", "line"),
        attributes=(
            "item",
            "variant",
            "warehouse",
            "location",
            "lot",
            "uom",
            "status",
            "due",
            "product",
            "department",
            "order_type",
        ),
        amounts=("required", "issued", "returned", "supplemented", "scrapped", "reserved", "issue_limit"),
        required=("order_no", "line", "item", "required", "issued"),
    ),
    "movements": Contract(
        identity=("org", "doc_type", "doc_no", "line", "leg"),
        attributes=(
            *_STOCK_KEYS[1:],
            *["kind", "posted", "posting_date", "order_no", "order_line", "reverses", "posted_by"],
        ),
        amounts=("qty", "aux_qty"),
        required=("doc_type", "doc_no", "line", "item", "warehouse", "kind", "qty"),
    ),
    "items": Contract(
        identity=("org", "item", "warehouse"),
        attributes=("name", "spec", "uom", "aux_uom", "item_group", "active"),
        amounts=("safety_stock", "reorder_point", "max_stock"),
        required=("item",),
    ),
}
