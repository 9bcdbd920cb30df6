"""What people do in the workshop's Tryton, each through the buttons they would press.

Every save and every button is one database transaction. Documents are called by the names the story gives them.
"""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from proteus import Model

from infra.demo.masterdata import CUSTOMER, SUPPLIER


class Line(NamedTuple):
    """A quantity, in the item's own unit, of an item at a place."""

    item: str
    quantity: float
    at: str = ""
    lot: str = ""


class Workshop:
    """Receipts, deliveries, transfers, stocktakes, production orders. Methods return a document's number and state."""

    def __init__(self) -> None:
        self._today = dt.date.today()  # noqa: DTZ011 - Tryton keeps the process in UTC
        self._items = {product.code: product for product in Model.get("product.product").find()}
        self._places = {place.code: place for place in Model.get("stock.location").find([("code", "!=", None)])}
        self._euro = _only("currency.currency", ("code", "=", "EUR"))
        self._supplier = _only("party.party", ("name", "=", SUPPLIER))
        self._customer = _only("party.party", ("name", "=", CUSTOMER))
        self._lots: dict[tuple[str, str], Any] = {}
        self._documents: dict[str, Any] = {}

    def count(self, place: str, found: Sequence[Line], days_ago: int = 0) -> str:
        """A stocktake of one place: what is not in `found` is confirmed as Tryton has it."""
        date = self._today - dt.timedelta(days=days_ago)
        take = Model.get("stock.inventory")(location=self._places[place], date=date, empty_quantity="keep")
        take.save()
        take.click("complete_lines")
        counted = {(line.item, line.lot): line for line in found}
        for line in take.lines:
            known = counted.pop((line.product.code, line.lot.number if line.lot else ""), None)
            line.quantity = known.quantity if known else line.expected_quantity
        for new in counted.values():
            take.lines.new(product=self._items[new.item], lot=self._lot(new), quantity=new.quantity)
        take.save()
        take.click("confirm")
        return _state(take)

    def receive(self, name: str, lines: Sequence[Line], warehouse: str = "WH") -> str:
        """A supplier's shipment reaches the warehouse's input zone."""
        home = self._places[warehouse]
        receipt = Model.get("stock.shipment.in")(supplier=self._supplier, warehouse=home)
        for line in lines:
            receipt.incoming_moves.new(**self._move(line, self._places["SUP"], home.input_location, priced=True))
        receipt.save()
        receipt.click("receive")
        return self._keep(name, receipt)

    def put_away(self, name: str, places: dict[str, str]) -> str:
        """The goods of a receipt go from the input zone to their places."""
        receipt = self._documents[name]
        for move in receipt.inventory_moves:
            move.to_location = self._places[places[move.product.code]]
        receipt.save()
        receipt.click("do")
        return _state(receipt)

    def cancel(self, name: str) -> str:
        """Take a document back."""
        self._documents[name].click("cancel")
        return _state(self._documents[name])

    def order(self, name: str, item: str, quantity: float) -> str:
        """A production order, its material listed by the bill of material."""
        bill = self._items[item].boms[0].bom
        order = Model.get("production")(
            warehouse=self._places["WH"],
            product=self._items[item],
            bom=bill,
            quantity=quantity,
            planned_date=self._today,
        )
        order.save()
        order.click("wait")
        return self._keep(name, order)

    def pick(self, name: str, lines: Sequence[Line], *, force: bool = False) -> str:
        """Say where an order's material comes from and reserve it; several lines of an item split its requirement."""
        order = self._documents[name]
        order.reload()
        for code in dict.fromkeys(line.item for line in lines):
            self._split(order, [line for line in lines if line.item == code])
        order.save()
        order.click("assign_force" if force else "assign_try")
        return _state(order)

    def issue(self, name: str, items: Sequence[str]) -> str:
        """Issue only some of the reserved material."""
        order = self._documents[name]
        order.reload()
        for move in order.inputs:
            if move.product.code in items and move.state == "assigned":
                move.click("do")
        return _state(order)

    def issue_rest(self, name: str) -> str:
        """Issue what is still reserved and start the work."""
        order = self._documents[name]
        order.reload()
        order.click("run")
        return _state(order)

    def issue_more(self, name: str, line: Line, *, force: bool = False) -> str:
        """Issue material beyond the bill to a running order."""
        order = self._documents[name]
        order.reload()
        order.click("wait")
        order.inputs.new(**self._move(line, self._places[line.at], order.location))
        order.save()
        order.click("assign_force" if force else "assign_try")
        order.click("run")
        return _state(order)

    def give_back(self, name: str, line: Line) -> str:
        """Unused material comes back from a running order: an output of that material."""
        order = self._documents[name]
        order.reload()
        order.outputs.new(**self._move(line, order.location, self._places[line.at], priced=True))
        order.save()
        for move in order.outputs:
            if move.product.code == line.item and move.state == "draft":
                move.click("do")
        return _state(order)

    def finish(self, name: str, lot: str, at: str) -> str:
        """The wheels are done: they get their lot number and their place."""
        order = self._documents[name]
        order.reload()
        for move in order.outputs:
            if move.product == order.product:
                move.lot, move.to_location = self._lot(Line(move.product.code, 0, lot=lot)), self._places[at]
        order.save()
        order.click("do")
        return _state(order)

    def transfer(self, lines: Sequence[Line], to: str) -> str:
        """Goods change places inside a warehouse."""
        return self._send(lines, to, ("wait", "assign_try", "do"))

    def send(self, name: str, lines: Sequence[Line], to: str) -> str:
        """Goods leave for another warehouse: until they arrive they are in transit, in neither."""
        return self._send(lines, to, ("wait", "assign_try", "pack", "ship"), name)

    def arrive(self, name: str) -> str:
        """Goods sent from another warehouse reach their place."""
        shipment = self._documents[name]
        shipment.click("do")
        return _state(shipment)

    def _send(self, lines: Sequence[Line], to: str, buttons: Sequence[str], name: str = "") -> str:
        source, target = self._places[lines[0].at], self._places[to]
        days = {"planned_date": self._today, "planned_start_date": self._today}
        shipment = Model.get("stock.shipment.internal")(from_location=source, to_location=target, **days)
        for line in lines:
            shipment.moves.new(**self._move(line, source, target))
        shipment.save()
        for button in buttons:
            shipment.click(button)
        return self._keep(name, shipment)

    def reserve(self, name: str, lines: Sequence[Line], warehouse: str = "WH", *, force: bool = False) -> str:
        """A customer's delivery, its goods reserved at their places (`force`: whether they are there or not)."""
        home = self._places[warehouse]
        delivery = Model.get("stock.shipment.out")(customer=self._customer, warehouse=home, planned_date=self._today)
        for line in lines:
            move = self._move(line, home.output_location, self._places["CUS"], priced=True)
            delivery.outgoing_moves.new(**move)
        delivery.save()
        delivery.click("wait")
        places = {line.item: self._places[line.at] for line in lines}
        for move in delivery.inventory_moves:
            move.from_location = places[move.product.code]
        delivery.save()
        delivery.click("assign_force" if force else "assign_try")
        return self._keep(name, delivery)

    def ship(self, name: str) -> str:
        """Pick, pack and hand over a reserved delivery."""
        delivery = self._documents[name]
        for button in ("pick", "pack", "do"):
            delivery.click(button)
        return _state(delivery)

    def take_back(self, lines: Sequence[Line], warehouse: str = "WH") -> str:
        """A customer returns goods; they go back on stock."""
        home = self._places[warehouse]
        back = Model.get("stock.shipment.out.return")(customer=self._customer, warehouse=home)
        for line in lines:
            back.incoming_moves.new(**self._move(line, self._places["CUS"], home.input_location, priced=True))
        back.save()
        back.click("receive")
        places = {line.item: self._places[line.at] for line in lines}
        for move in back.inventory_moves:
            move.to_location = places[move.product.code]
        back.save()
        back.click("do")
        return _state(back)

    def _split(self, order: Any, lines: Sequence[Line]) -> None:
        """Spread one material line of an order over places and lots."""
        first, *others = lines
        move = next(move for move in order.inputs if move.product.code == first.item)
        move.quantity, move.unit = first.quantity, self._items[first.item].default_uom
        move.from_location, move.lot = self._places[first.at], self._lot(first)
        for line in others:
            order.inputs.new(**self._move(line, self._places[line.at], order.location))

    def _move(self, line: Line, source: Any, target: Any, *, priced: bool = False) -> dict[str, Any]:
        item = self._items[line.item]
        move = {"product": item, "unit": item.default_uom, "quantity": line.quantity, "lot": self._lot(line)}
        price = {"unit_price": Decimal(1), "currency": self._euro} if priced else {}
        return {**move, "from_location": source, "to_location": target, **price}

    def _lot(self, line: Line) -> Any:
        """The lot of an item, made when it is new; None when the line has none."""
        if not line.lot:
            return None
        key = (line.item, line.lot)
        if key not in self._lots:
            self._lots[key] = Model.get("stock.lot")(product=self._items[line.item], number=line.lot)
            self._lots[key].save()
        return self._lots[key]

    def _keep(self, name: str, document: Any) -> str:
        self._documents[name] = document
        return _state(document)


def _only(model: str, *domain: tuple[str, str, str]) -> Any:
    [found] = Model.get(model).find(list(domain))
    return found


def _state(document: Any) -> str:
    document.reload()
    return f"{document.number} {document.state}"
