from __future__ import annotations

import argparse

import pytest

from clickstream.aws import prices
from clickstream.aws.cost import Traffic, estimate
from clickstream.aws.local.template import load_template, resources
from clickstream.commands import cost


def total(events_per_second: float, **more: float) -> float:
    return sum(item.usd for item in estimate(Traffic(events_per_second, 400, 12, 50, **more)))


def test_the_bill_shows_every_unit_price_and_says_how_old_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    cost.add_arguments(parser)

    assert cost.run(parser.parse_args(["--events-per-second", "100"])) == 0

    printed = capsys.readouterr().out
    assert "Kinesis on-demand, in" in printed
    assert "x 0.08 USD" in printed
    assert "looked up on 2026-11-24" in printed
    assert "[1] airbyte.com" in printed
    assert "all undated" in printed  # where a source has no date, the bill says so
    assert "from memory" not in printed
    assert "https://calculator.aws" in printed


def test_more_events_cost_more_but_less_for_each() -> None:
    assert total(10) < total(100) < total(1000)
    assert total(1000) / 1000 < total(10) / 10


def test_an_idle_stack_costs_its_fixed_items_only() -> None:
    assert 30 < total(0.001) < 45


def test_what_an_api_host_reads_of_the_counters_is_in_the_bill() -> None:
    def read(events_per_second: float) -> float:
        items = estimate(Traffic(events_per_second, 400, 12, 50))
        return next(item.quantity for item in items if item.name == "DynamoDB, read units of one API host")

    assert 380 < read(50) < 440  # million; 403 were found from the sizes of items that a consumer had written
    assert read(0.001) == pytest.approx(13 * 730 * 3600 / 1e6, rel=0.01)  # the totals of four shards each second
    assert read(5000) > read(50)


def test_flink_is_in_the_bill_only_when_asked_for() -> None:
    assert total(10, has_flink=True) - total(10) == pytest.approx(730 * 2 * 0.11 + 50 * 0.10)


def test_the_alarms_in_the_bill_are_those_of_the_template() -> None:
    alarms = next(item for item in estimate(Traffic(1, 400, 12, 50)) if item.name == "CloudWatch, alarms")

    assert alarms.quantity == len(resources(load_template(), "AWS::CloudWatch::Alarm"))


def test_every_price_says_where_it_was_found() -> None:
    items = estimate(Traffic(1, 400, 12, 50, has_flink=True))
    found = [value for value in vars(prices).values() if isinstance(value, prices.Price)]

    assert {item.price for item in items} == set(found)
    assert all(price.usd > 0 and price.source for price in found)
