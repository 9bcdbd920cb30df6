"""A busy day in a wheel workshop, step by step: deterministic, every step something a person does in the ERP."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from infra.demo.workshop import Line, Workshop


@dataclass(frozen=True, slots=True)
class Step:
    """One thing somebody does. `run` does it and returns what the ERP made of it, e.g. `7 done`."""

    says: str
    run: Callable[[], str]


def _step(says: str, verb: Callable[..., str], *args: object, **options: object) -> Step:
    return Step(says, partial(verb, *args, **options))


OPENING = {
    "A-1": [Line("RIM-622", 12, lot="R-100"), Line("RIM-584", 8, lot="R-200"), Line("TAPE-25", 45.5)],
    "A-2": [Line("HUB-F", 14), Line("HUB-R", 9), Line("TYRE-32", 20), Line("TYRE-40", 12)],
    "B-1": [Line("SPOKE-290", 900), Line("SPOKE-262", 700), Line("NIPPLE-12", 1500)],
    "B-2": [Line("GREASE", 2.5), Line("TUBE-28", 60), Line("TAPE-25", 20)],
    "SHOWROOM": [Line("TYRE-32", 6), Line("TYRE-40", 4), Line("RIM-622", 2, lot="R-090")],
    "DRAWER": [Line("TUBE-28", 15), Line("GREASE", 0.3), Line("SPOKE-290", 40)],
}


def opening(w: Workshop) -> Sequence[Step]:
    """The stock before anybody watches: stocktakes of an empty warehouse, three days ago."""
    return [_step(f"opening stock at {at}", w.count, at, found, days_ago=3) for at, found in OPENING.items()]


def story(w: Workshop) -> Sequence[Step]:
    """What happens while onhand watches. It ends with every shortage mended."""
    return [*_goods_in(w), *_front_wheels(w), *_rear_wheels(w), *_sales(w), *_shortage(w), *_end_of_day(w)]


def _goods_in(w: Workshop) -> list[Step]:
    rims = [Line("RIM-622", 10, lot="R-101"), Line("RIM-584", 6, lot="R-201"), Line("SPOKE-290", 400)]
    small = [Line("HUB-F", 8), Line("HUB-R", 6), Line("NIPPLE-12", 500), Line("GREASE", 1.2)]
    shop = [Line("TYRE-32", 10), Line("TYRE-40", 8), Line("TUBE-28", 20)]
    small_places = {"HUB-F": "A-2", "HUB-R": "A-2", "NIPPLE-12": "B-1", "GREASE": "B-2"}
    shop_places = {"TYRE-32": "SHOWROOM", "TYRE-40": "SHOWROOM", "TUBE-28": "DRAWER"}
    return [
        _step("rims and spokes arrive", w.receive, "rims", rims),
        _step(
            "rims to rack A, spokes to rack B",
            w.put_away,
            "rims",
            {**dict.fromkeys(("RIM-622", "RIM-584"), "A-1"), "SPOKE-290": "B-1"},
        ),
        _step("hubs, nipples and grease arrive", w.receive, "small", small),
        _step("put away on racks A and B", w.put_away, "small", small_places),
        _step("50 front hubs arrive", w.receive, "wrong", [Line("HUB-F", 50)]),
        _step("the wrong hubs: receipt cancelled", w.cancel, "wrong"),
        _step("tyres and tubes arrive at the shop", w.receive, "shop", shop, warehouse="SHOP"),
        _step("tyres to the showroom, tubes to a drawer", w.put_away, "shop", shop_places),
    ]


def _front_wheels(w: Workshop) -> list[Step]:
    material = [
        Line("RIM-622", 4, "A-1", "R-100"),
        Line("RIM-622", 2, "A-1", "R-101"),
        Line("HUB-F", 6, "A-2"),
        Line("SPOKE-290", 150, "B-1"),
        Line("SPOKE-290", 42, "B-1"),
        Line("NIPPLE-12", 192, "B-1"),
        Line("TAPE-25", 7.5, "A-1"),
        Line("TAPE-25", 4.5, "B-2"),
        Line("GREASE", 0.06, "B-2"),
    ]
    return [
        _step("order: 6 front wheels", w.order, "front", "WHEEL-F", 6),
        _step("material reserved, rims from two lots", w.pick, "front", material),
        _step("rims and hubs issued", w.issue, "front", ("RIM-622", "HUB-F")),
        _step("spokes and nipples issued", w.issue, "front", ("SPOKE-290", "NIPPLE-12")),
        _step("tape and grease issued: work starts", w.issue_rest, "front"),
        _step("10 spokes broke: extra issue", w.issue_more, "front", Line("SPOKE-290", 10, "B-1")),
        _step("one hub too many comes back", w.give_back, "front", Line("HUB-F", 1, "A-2")),
        _step("6 front wheels finished", w.finish, "front", "W-2201", "WHEELS"),
    ]


def _rear_wheels(w: Workshop) -> list[Step]:
    material = [
        Line("RIM-584", 5, "A-1", "R-200"),
        Line("HUB-R", 5, "A-2"),
        Line("SPOKE-262", 180, "B-1"),
        Line("NIPPLE-12", 180, "B-1"),
        Line("TAPE-25", 10, "A-1"),
        Line("GREASE", 0.1, "B-2"),
    ]
    second = [
        Line("RIM-584", 3, "A-1", "R-200"),
        Line("RIM-584", 1, "A-1", "R-201"),
        Line("HUB-R", 4, "A-2"),
        Line("SPOKE-262", 144, "B-1"),
        Line("NIPPLE-12", 144, "B-1"),
        Line("TAPE-25", 8, "B-2"),
        Line("GREASE", 0.08, "B-2"),
    ]
    return [
        _step("order: 5 rear wheels", w.order, "rear", "WHEEL-R", 5),
        _step("order: 4 more rear wheels", w.order, "rear 2", "WHEEL-R", 4),
        _step("material reserved for the first order", w.pick, "rear", material),
        _step("material reserved for the second order", w.pick, "rear 2", second),
        _step("rims and spokes issued to the first", w.issue, "rear", ("RIM-584", "SPOKE-262")),
        _step("rims issued to the second", w.issue, "rear 2", ("RIM-584",)),
        _step("the rest issued to the first", w.issue_rest, "rear"),
        _step("5 rear wheels finished", w.finish, "rear", "W-2202", "WHEELS"),
        _step("the rest issued to the second", w.issue_rest, "rear 2"),
        _step("20 spokes come back", w.give_back, "rear 2", Line("SPOKE-262", 20, "B-1")),
        _step("4 rear wheels finished", w.finish, "rear 2", "W-2203", "WHEELS"),
    ]


def _sales(w: Workshop) -> list[Step]:
    wheels = [Line("WHEEL-F", 4, "WHEELS", "W-2201"), Line("WHEEL-R", 3, "WHEELS", "W-2202")]
    to_shop = [Line("WHEEL-F", 1, "WHEELS", "W-2201"), Line("WHEEL-R", 2, "WHEELS", "W-2203")]
    over_the_counter = [Line("TYRE-32", 3, "SHOWROOM"), Line("TUBE-28", 5, "DRAWER")]
    return [
        _step("a bike shop orders wheels: reserved", w.reserve, "wheels", wheels),
        _step("wheels leave for the shop", w.send, "to shop", to_shop, "SHOWROOM"),
        _step("the bike shop's wheels leave", w.ship, "wheels"),
        _step("the shop puts its wheels on show", w.arrive, "to shop"),
        _step("rims moved to the other shelf", w.transfer, [Line("RIM-622", 5, "A-1", "R-101")], "A-2"),
        _step("nipples moved to rack B-2", w.transfer, [Line("NIPPLE-12", 250, "B-1")], "B-2"),
        _step("tyres and tubes sold in the shop: reserved", w.reserve, "counter", over_the_counter, warehouse="SHOP"),
        _step("handed over the counter", w.ship, "counter"),
        _step("a customer returns a wheel", w.take_back, [Line("WHEEL-F", 1, "WHEELS", "W-2201")]),
        _step("a customer returns a tyre", w.take_back, [Line("TYRE-32", 1, "SHOWROOM")], warehouse="SHOP"),
        _step("grease leaves for the shop", w.send, "grease", [Line("GREASE", 0.5, "B-2")], "DRAWER"),
        _step("grease arrives in the shop", w.arrive, "grease"),
    ]


def _shortage(w: Workshop) -> list[Step]:
    promised = [Line("TYRE-40", 20, "SHOWROOM")]
    repair = [
        Line("RIM-622", 1, "A-1", "R-101"),
        Line("HUB-F", 1, "A-2"),
        Line("SPOKE-290", 32, "B-1"),
        Line("NIPPLE-12", 32, "B-1"),
        Line("TAPE-25", 2, "A-1"),
        Line("GREASE", 0.01, "B-2"),
    ]
    return [
        _step("20 tyres promised, 12 there: forced", w.reserve, "tyres", promised, warehouse="SHOP", force=True),
        _step("all 20 booked out of the shop", w.ship, "tyres"),
        _step("a repair: order 1 front wheel", w.order, "repair", "WHEEL-F", 1),
        _step("its material reserved", w.pick, "repair", repair),
        _step("its material issued", w.issue_rest, "repair"),
        _step("40 hubs booked on it by mistake", w.issue_more, "repair", Line("HUB-F", 40, "A-2"), force=True),
        _step("the mistake is seen: 40 hubs back", w.give_back, "repair", Line("HUB-F", 40, "A-2")),
        _step("the repaired wheel is finished", w.finish, "repair", "W-2204", "WHEELS"),
    ]


def _end_of_day(w: Workshop) -> list[Step]:
    tyres = [Line("TYRE-40", 24), Line("TUBE-28", 10)]
    spokes = [Line("SPOKE-262", 300), Line("SPOKE-290", 200), Line("TAPE-25", 25)]
    spoke_places = {"SPOKE-262": "B-1", "SPOKE-290": "B-1", "TAPE-25": "A-1"}
    last = [Line("WHEEL-R", 2, "SHOWROOM", "W-2203"), Line("TYRE-40", 4, "SHOWROOM")]
    return [
        _step("24 tyres arrive at the shop", w.receive, "tyres in", tyres, warehouse="SHOP"),
        _step("put away in the showroom", w.put_away, "tyres in", {"TYRE-40": "SHOWROOM", "TUBE-28": "DRAWER"}),
        _step("spokes and tape arrive", w.receive, "spokes", spokes),
        _step("put away", w.put_away, "spokes", spoke_places),
        _step("wheels with tyres sold: reserved", w.reserve, "last", last, warehouse="SHOP"),
        _step("the customer takes them", w.ship, "last"),
        _step("stocktake of B-1: spokes missing", w.count, "B-1", [Line("SPOKE-290", 1040), Line("SPOKE-262", 690)]),
        _step("stocktake of A-1: one rim more", w.count, "A-1", [Line("RIM-622", 9, lot="R-100")]),
        _step("stocktake of the drawers", w.count, "DRAWER", [Line("TUBE-28", 39), Line("GREASE", 0.75)]),
    ]
