"""Estimate the monthly bill of ENV=aws for a rate of events, with every unit price and where it was found."""

from __future__ import annotations

import argparse

from clickstream.aws.cost import Traffic, estimate
from clickstream.aws.prices import LOOKED_UP


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `cost` takes."""
    parser.add_argument("--events-per-second", type=float, required=True, help="mean over the month")
    parser.add_argument("--event-bytes", type=float, default=400, help="mean size of a stored event (default 400)")
    parser.add_argument("--events-per-session", type=float, default=12, help="(default 12)")
    parser.add_argument("--queries-per-day", type=float, default=50, help="Athena queries over a day (default 50)")
    parser.add_argument("--flink", action="store_true", help="with the optional Flink application")


def run(args: argparse.Namespace) -> int:
    """Print the estimate."""
    traffic = Traffic(
        args.events_per_second, args.event_bytes, args.events_per_session, args.queries_per_day, has_flink=args.flink
    )
    items = estimate(traffic)
    monthly, visit = traffic.events / 1e6, f"{args.events_per_session:g} events a session"
    print(f"{args.events_per_second:g} events/s of {args.event_bytes:g} bytes: {monthly:,.1f} M events a month")
    print(f"Assumed: {visit} (--events-per-session decides what DynamoDB costs), and records as they come")
    print("at this rate, of which Kinesis bills whole kilobytes and Firehose five at a time.\n")
    sources = list(dict.fromkeys(item.price.source for item in items))
    for item in items:
        quantity = f"{item.quantity:>12,.1f} {item.unit} x {item.price.usd:g} USD"
        print(f"{item.usd:>10,.2f} USD  {item.name:<39} {quantity} [{sources.index(item.price.source) + 1}]")
    print(f"{sum(item.usd for item in items):>10,.2f} USD  a month\n")
    print(f"Unit prices: us-east-1, on demand, without free tiers, looked up on {LOOKED_UP} in")
    for number, source in enumerate(sources, 1):
        print(f"  [{number}] {source}")
    print("An estimate, not an offer: check the prices at https://calculator.aws before you deploy.")
    return 0
