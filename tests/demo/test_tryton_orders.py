"""Production orders of a real Tryton, worked on through its own API: served is what Tryton itself says of them."""

import json
import random
import secrets
from collections import defaultdict
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from infra.demo import attach, dba, story, tryton
from infra.demo.feed import Feed
from infra.demo.workshop import Line, Workshop
from infra.stack import Stack
from infra.stack.site import DOWNLOADS
from pipeline.domain.change import Position
from tests.e2e.source import wait_for

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600), pytest.mark.filterwarnings("default")]  # not our warnings
ORDERS = 200
BILL = {"RIM-622": 1.0, "HUB-F": 1.0, "SPOKE-290": 32.0, "NIPPLE-12": 32.0, "TAPE-25": 2.0, "GREASE": 0.01}
PLACES = {"RIM-622": "A-1", "HUB-F": "A-2", "SPOKE-290": "B-1", "NIPPLE-12": "B-1", "TAPE-25": "A-1", "GREASE": "B-2"}
FIGURES = ("required", "issued", "returned", "reserved", "open", "over")


class Foreman:
    """Does with orders what people do, at random: reserves, issues in parts, gives back, cancels, opens again."""

    def __init__(self, workshop: Workshop, seed: int) -> None:
        self._workshop, self._rng, self.names = workshop, random.Random(seed), list[str]()

    def work(self, orders: int) -> None:
        for n in range(orders):
            self.names.append(f"order {n}")
            quantity = self._rng.randint(1, 3)
            self._workshop.order(self.names[-1], "WHEEL-F", quantity)
            self._one(self.names[-1], quantity)

    def _one(self, name: str, quantity: int) -> None:
        rng, workshop = self._rng, self._workshop
        if rng.random() < 0.15:
            return  # waits
        workshop.pick(name, [line for item in BILL for line in self._lines(item, quantity)], force=True)
        if (fate := rng.random()) < 0.1:
            return  # reserved
        some = rng.sample(sorted(BILL), rng.randint(0, 4))
        if some and fate < 0.8:
            workshop.issue(name, some)
        if fate < 0.25:
            return  # issued in part
        if fate < 0.4:
            workshop.cancel(name)  # what was issued in part comes back
            return
        if fate < 0.5:
            self._reopen(name)
            return
        workshop.issue_rest(name)
        if rng.random() < 0.5:
            workshop.issue_more(name, Line("SPOKE-290", float(rng.randint(1, 9)), "B-1"), force=True)
        if rng.random() < 0.5:
            workshop.give_back(name, Line("HUB-F", 1.0, "A-2"))
        if rng.random() < 0.2:
            self._take_the_return_back(name)
        if rng.random() < 0.5:
            workshop.finish(name, f"W-{name}", "WHEELS")

    def _lines(self, item: str, quantity: int) -> list[Line]:
        whole, lot = BILL[item] * quantity, "R-100" if item.startswith("RIM") else ""
        if whole < 2 or self._rng.random() < 0.6:
            return [Line(item, whole, PLACES[item], lot)]
        return [Line(item, part, PLACES[item], lot) for part in (1.0, whole - 1.0)]

    def _reopen(self, name: str) -> None:
        order = self._workshop._documents[name]
        for button in ("wait", "draft", "wait"):
            order.click(button)
            order.reload()

    def _take_the_return_back(self, name: str) -> None:
        order = self._workshop._documents[name]
        order.reload()
        for move in order.outputs:
            if move.state == "done" and move.product != order.product:
                move.click("cancel")


def by_tryton(orders: list[Any]) -> dict[tuple[str, str], dict[str, str]]:
    """What Tryton's own objects say of each order's material, in each product's own unit."""
    found: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: dict.fromkeys(FIGURES, 0.0))
    for order in orders:
        order.reload()
        for move in order.inputs:
            line, quantity = found[order.number, move.product.code], move.internal_quantity
            line["required"] += quantity if move.state != "cancelled" else 0
            line["issued"] += quantity if move.state == "done" else 0
            line["reserved"] += quantity if move.state == "assigned" else 0
        for move in order.outputs:
            if move.state == "done" and move.product != order.product:
                line = found[order.number, move.product.code]
                line["returned"] += move.internal_quantity
                line["issued"] -= move.internal_quantity
        for (number, _), line in found.items():
            if number == order.number:
                released = order.state in {"waiting", "assigned", "running"}
                line["open"] = max(0.0, line["required"] - line["issued"]) if released else 0.0
                line["over"] = max(0.0, line["issued"] - line["required"])
    return {key: {name: f"{n:.6f}" for name, n in line.items()} for key, line in found.items()}


def by_onhand(server: redis.Redis) -> dict[tuple[str, str], dict[str, str]]:
    documents = [server.hgetall(key) for key in server.keys("stock:order:*")]
    lines = [(d["order_no"], line) for d in documents if "deleted" not in d for line in json.loads(d["lines"])]
    return {(number, line["item"]): {name: f"{float(line[name]):.6f}" for name in FIGURES} for number, line in lines}


@pytest.fixture(scope="module")
def workshop(stack: Stack) -> tuple[Workshop, Path, str]:
    url = stack.postgres.url("erp")
    tryton.prepare(url, stack.directory, DOWNLOADS / "cache", lambda _: None)
    tryton.connect(url, stack.directory)
    workshop, password = Workshop(), secrets.token_urlsafe()
    for step in story.opening(workshop):
        step.run()
    orgs = attach.companies(url)
    dba.allow_capture(url, attach.captured(url, orgs), password, "tryton_cdc")
    settings = attach.write_settings(stack, "erp", orgs, stack.secret("erp-password", password))
    settings.write_text(settings.read_text().replace("//cdc@", "//tryton_cdc@"))
    return workshop, settings, url


def test_coverage_is_what_tryton_says_of_a_few_hundred_orders(
    stack: Stack, workshop: tuple[Workshop, Path, str]
) -> None:
    people, settings, url = workshop
    attach.apply(settings)
    server = redis.Redis.from_url(stack.redis.url, decode_responses=True)
    with attach.worker(stack, settings) as check, Feed(stack.redis.url) as feed:
        attach.wait_until_live(feed, check)
        foreman = Foreman(people, seed=11)
        foreman.work(ORDERS)
        with psycopg.connect(url) as erp:
            [(end,)] = erp.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchall()
        wait_for(lambda: Position.parse(server.hget("stock:meta", "position") or "0/0").order >= end, "all served", 300)
        expected = by_tryton([people._documents[name] for name in foreman.names])
        assert len({number for number, _ in expected}) == ORDERS
        assert by_onhand(server) == expected
        assert attach.verify(settings) == 0
    server.close()
