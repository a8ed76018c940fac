"""The CloudFormation template: linted, held to house rules, and alarms that watch what exists."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clickstream.aws.local.template import TEMPLATE, load_template, resources

# What a dimension of each AWS namespace names; an alarm on another resource would stay INSUFFICIENT_DATA for ever.
DIMENSIONS = {
    ("AWS/Kinesis", "StreamName"): "AWS::Kinesis::Stream",
    ("AWS/Lambda", "FunctionName"): "AWS::Lambda::Function",
    ("AWS/Lambda", "EventSourceMappingUUID"): "AWS::Lambda::EventSourceMapping",
    ("AWS/Firehose", "DeliveryStreamName"): "AWS::KinesisFirehose::DeliveryStream",
    ("AWS/DynamoDB", "TableName"): "AWS::DynamoDB::Table",
    ("Clickstream", "StreamName"): "AWS::Kinesis::Stream",
}

# PutMetricData cannot be limited to a resource, only to a namespace.
_ONLY_OUR_METRICS = {"StringEquals": {"cloudwatch:namespace": "Clickstream"}}


def lint(path: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--regions", "us-east-1", "--template", str(path)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


def broken_house_rules(template: dict[str, Any]) -> list[str]:
    return sorted([*_unencrypted(template), *_kept_for_ever(template), *_too_many_rights(template)])


def _unencrypted(template: dict[str, Any]) -> Iterator[str]:
    needed = {
        "AWS::Kinesis::Stream": "StreamEncryption",
        "AWS::S3::Bucket": "BucketEncryption",
        "AWS::DynamoDB::Table": "SSESpecification",
        "AWS::SNS::Topic": "KmsMasterKeyId",
        "AWS::Logs::LogGroup": "KmsKeyId",
    }
    for kind, key in needed.items():
        yield from (f"{name} is not encrypted" for name, found in resources(template, kind).items() if key not in found)
    for name, bucket in resources(template, "AWS::S3::Bucket").items():
        if set(bucket.get("PublicAccessBlockConfiguration", {"": False}).values()) != {True}:
            yield f"{name} may become public"


def _kept_for_ever(template: dict[str, Any]) -> Iterator[str]:
    for name, group in resources(template, "AWS::Logs::LogGroup").items():
        if "RetentionInDays" not in group:
            yield f"{name} keeps logs for ever"
    for name, bucket in resources(template, "AWS::S3::Bucket").items():
        if not bucket.get("LifecycleConfiguration", {}).get("Rules"):
            yield f"{name} keeps objects for ever"
    for name, table in resources(template, "AWS::DynamoDB::Table").items():
        if not table.get("TimeToLiveSpecification", {}).get("Enabled"):
            yield f"{name} keeps items for ever"


def _too_many_rights(template: dict[str, Any]) -> Iterator[str]:
    for name, statement in _identity_statements(template):
        for action in _as_list(statement["Action"]):
            if "*" in action:
                yield f"{name} may do {action}"
        if "*" in _as_list(statement["Resource"]) and statement.get("Condition") != _ONLY_OUR_METRICS:
            yield f"{name} may act on everything"


def _identity_statements(template: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, role in resources(template, "AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            yield from ((name, statement) for statement in policy["PolicyDocument"]["Statement"])
    for name, policy in resources(template, "AWS::IAM::ManagedPolicy").items():
        yield from ((name, statement) for statement in policy["PolicyDocument"]["Statement"])


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def wrong_dimensions(template: dict[str, Any]) -> list[str]:
    wrong = []
    for name, alarm in resources(template, "AWS::CloudWatch::Alarm").items():
        for dimension in alarm["Dimensions"]:
            wanted = DIMENSIONS.get((alarm["Namespace"], dimension["Name"]))
            value = dimension["Value"]
            target = template["Resources"].get(value.get("Ref", "")) if isinstance(value, dict) else None
            if wanted is None or target is None or target["Type"] != wanted:
                wrong.append(name)
    return wrong


def test_cfn_lint_finds_nothing() -> None:
    result = lint(TEMPLATE)

    assert (result.stdout, result.returncode) == ("", 0)


def test_cfn_lint_would_find_a_planted_error(tmp_path: Path) -> None:
    broken = tmp_path / "template.yaml"
    broken.write_text(TEMPLATE.read_text().replace("!GetAtt EventStream.Arn", "!GetAtt EventStreem.Arn", 1))

    result = lint(broken)

    assert "EventStreem" in result.stdout
    assert result.returncode != 0


def test_no_house_rule_is_broken() -> None:
    assert broken_house_rules(load_template()) == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            "      StreamEncryption: {EncryptionType: KMS, KeyId: !GetAtt DataKey.Arn}\n",
            "",
            "EventStream is not encrypted",
        ),
        ("BlockPublicPolicy: true", "BlockPublicPolicy: false", "LakeBucket may become public"),
        ("      RetentionInDays: 30\n", "", "ConsumerLogs keeps logs for ever"),
        ('Action: "logs:PutLogEvents"', 'Action: "logs:*"', "FirehoseRole may do logs:*"),
        ("Resource: !GetAtt CountersTable.Arn", 'Resource: "*"', "ConsumerRole may act on everything"),
        (
            'Condition: {StringEquals: {"cloudwatch:namespace": Clickstream}}',
            "Condition: {}",
            "ProducerPolicy may act on everything",
        ),
        (
            "AttributeName: expires_at, Enabled: true",
            "AttributeName: expires_at, Enabled: false",
            "CountersTable keeps items for ever",
        ),
    ],
)
def test_a_broken_house_rule_is_named(old: str, new: str, complaint: str) -> None:
    text = TEMPLATE.read_text()
    assert old in text

    assert complaint in broken_house_rules(load_template(text.replace(old, new)))


def test_every_alarm_watches_a_resource_of_this_template() -> None:
    template = load_template()

    assert len(resources(template, "AWS::CloudWatch::Alarm")) >= 13
    assert wrong_dimensions(template) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{Name: FunctionName, Value: !Ref Consumer}", "{Name: FunctionName, Value: !Ref Delivery}"),
        ("{Name: TableName, Value: !Ref CountersTable}", "{Name: Table, Value: !Ref CountersTable}"),
        ("{Name: StreamName, Value: !Ref EventStream}", "{Name: StreamName, Value: events}"),
    ],
)
def test_an_alarm_with_a_wrong_dimension_is_found(old: str, new: str) -> None:
    assert wrong_dimensions(load_template(TEMPLATE.read_text().replace(old, new, 1))) != []


def test_an_alarm_reaches_somebody_and_says_what_to_do() -> None:
    for alarm in resources(load_template(), "AWS::CloudWatch::Alarm").values():
        assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]
        assert alarm["TreatMissingData"] in {"breaching", "notBreaching"}
        assert len(alarm["AlarmDescription"]) > 30


def test_the_trigger_cannot_block_a_shard_for_ever() -> None:
    (trigger,) = resources(load_template(), "AWS::Lambda::EventSourceMapping").values()

    assert trigger["ParallelizationFactor"] == 1
    assert trigger["BisectBatchOnFunctionError"] is True
    assert trigger["MaximumRetryAttempts"] == 5
    assert trigger["MaximumRecordAgeInSeconds"] == 6 * 3600
    assert trigger["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert trigger["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": "LakeBucket.Arn"}


def test_teardown_leaves_nothing_that_costs() -> None:
    template = load_template()

    for kind in (
        "AWS::S3::Bucket",
        "AWS::DynamoDB::Table",
        "AWS::Kinesis::Stream",
        "AWS::Logs::LogGroup",
        "AWS::KMS::Key",
    ):
        for name in resources(template, kind):
            assert template["Resources"][name]["DeletionPolicy"] == "Delete", name
