"""What the wheel workshop's Tryton knows before any stock moves: company, products, bills of material, warehouses."""

import datetime as dt
from decimal import Decimal
from typing import Any, NamedTuple

from proteus import Model, Wizard

COMPANY, SUPPLIER, CUSTOMER = "Wheel Workshop", "Rim & Hub Ltd", "Bike Shop"
_LOT_WANTED_AT = ["supplier", "customer", "storage", "production", "lost_found"]


class Item(NamedTuple):
    """A product; `unit` is its symbol in Tryton, `price` the cost of one unit in euros."""

    code: str
    name: str
    unit: str = "u"
    lots: bool = False
    price: str = "1"


ITEMS = (
    Item("RIM-622", "Rim 622 x 19", lots=True, price="24"),
    Item("RIM-584", "Rim 584 x 25", lots=True, price="29"),
    Item("HUB-F", "Front hub 32 holes", price="18"),
    Item("HUB-R", "Rear hub 36 holes", price="41"),
    Item("SPOKE-290", "Spoke 290 mm", price="0.2"),
    Item("SPOKE-262", "Spoke 262 mm", price="0.2"),
    Item("NIPPLE-12", "Nipple 12 mm brass", price="0.1"),
    Item("TAPE-25", "Rim tape 25 mm", unit="m", price="0.4"),
    Item("GREASE", "Bearing grease", unit="kg", price="12"),
    Item("TYRE-32", "Tyre 32-622", price="19"),
    Item("TYRE-40", "Tyre 40-584", price="23"),
    Item("TUBE-28", "Inner tube 28 in", price="4"),
    Item("WHEEL-F", "Front wheel 622", lots=True, price="75"),
    Item("WHEEL-R", "Rear wheel 584", lots=True, price="110"),
)
# one wheel takes: (item, quantity, unit)
BILLS = {
    "WHEEL-F": (
        ("RIM-622", 1, "u"), ("HUB-F", 1, "u"), ("SPOKE-290", 32, "u"), ("NIPPLE-12", 32, "u"), ("TAPE-25", 2, "m"),
        ("GREASE", 10, "g"),
    ),
    "WHEEL-R": (
        ("RIM-584", 1, "u"), ("HUB-R", 1, "u"), ("SPOKE-262", 36, "u"), ("NIPPLE-12", 36, "u"), ("TAPE-25", 2, "m"),
        ("GREASE", 20, "g"),
    ),
}  # fmt: skip
# parent code -> places below it; racks hold shelves, so the warehouse is up to three levels above a shelf
PLACES = {
    "STO": (("RACK-A", "Rack A"), ("RACK-B", "Rack B"), ("WHEELS", "Wheel stand")),
    "RACK-A": (("A-1", "Shelf A-1"), ("A-2", "Shelf A-2")),
    "RACK-B": (("B-1", "Shelf B-1"), ("B-2", "Shelf B-2")),
    "SHOP-STO": (("SHOWROOM", "Showroom"), ("DRAWER", "Drawers behind the counter")),
}


def enter() -> None:
    """Enter everything, into a database that holds nothing but Tryton's modules."""
    _company()
    for name in (SUPPLIER, CUSTOMER):
        Model.get("party.party")(name=name).save()
    _warehouses()
    units = {unit.symbol: unit for unit in Model.get("product.uom").find()}
    products = {item.code: _product(item, units) for item in ITEMS}
    for made, lines in BILLS.items():
        _bill(products, made, lines, units)


def use_company(session: Any) -> None:
    """Work in the user's company from now on (a database without one yet is left as it is)."""
    session._context = Model.get("res.user").get_preferences(True, {})  # noqa: SLF001 - proteus offers no other way


def _company() -> None:
    """Through the wizard a person would use: it also puts the user into the company."""
    euro = Model.get("currency.currency")(name="Euro", code="EUR", symbol="€", rounding=Decimal("0.01"))
    euro.rates.new(rate=Decimal(1), date=dt.date(2000, 1, 1))
    euro.save()
    party = Model.get("party.party")(name=COMPANY)
    party.save()
    wizard = Wizard("company.company.config")
    wizard.execute("company")
    wizard.form.party, wizard.form.currency = party, euro
    wizard.execute("add")
    use_company(wizard._config)  # noqa: SLF001 - the session the wizard ran in


def _warehouses() -> None:
    location = Model.get("stock.location")
    found = {place.code: place for place in location.find([("code", "!=", None)])}
    found["WH"].name = "Workshop"
    found["WH"].save()
    zones = {"production_location": found["PROD"], "lost_found_location": found["WH"].lost_found_location}
    for zone, code in (
        ("input_location", "SHOP-IN"),
        ("storage_location", "SHOP-STO"),
        ("output_location", "SHOP-OUT"),
    ):
        zones[zone] = found[code] = location(name=code.replace("-", " ").title(), code=code, type="storage")
        zones[zone].save()
    location(name="Shop", code="SHOP", type="warehouse", **zones).save()
    for parent, children in PLACES.items():
        for code, name in children:
            found[code] = location(name=name, code=code, type="storage", parent=found[parent])
            found[code].save()


def _product(item: Item, units: dict[str, Any]) -> Any:
    template = Model.get("product.template")(name=item.name, default_uom=units[item.unit], type="goods")
    template.list_price, template.producible = Decimal(item.price) * 2, item.code in BILLS
    if item.lots:
        template.lot_required = _LOT_WANTED_AT
    template.products[0].suffix_code, template.products[0].cost_price = item.code, Decimal(item.price)
    template.save()
    return template.products[0]


def _bill(
    products: dict[str, Any], made: str, lines: tuple[tuple[str, float, str], ...], units: dict[str, Any]
) -> None:
    bill = Model.get("production.bom")(name=products[made].template.name)
    for code, quantity, unit in lines:
        bill.inputs.new(product=products[code], quantity=quantity, unit=units[unit])
    bill.outputs.new(product=products[made], quantity=1, unit=products[made].default_uom)
    bill.save()
    products[made].boms.new(bom=bill)
    products[made].save()
