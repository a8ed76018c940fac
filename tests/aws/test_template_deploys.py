"""The real template created and deleted by an emulator of CloudFormation that refuses what it does not know."""

from __future__ import annotations

import io
import os
import re
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from clickstream.aws.clients import Emulated, client
from clickstream.aws.local.template import TEMPLATE, load_template
from clickstream.ports import free_port
from tests.support.processes import ROOT, environment
from tests.support.waiting import until

MINISTACK = Path(os.environ.get("MINISTACK", ROOT / ".venv-ministack" / "bin" / "ministack"))
UNKNOWN_TO_MINISTACK = {"AWS::Athena::NamedQuery", "AWS::Budgets::Budget"}

pytestmark = [
    pytest.mark.aws,
    pytest.mark.external,
    pytest.mark.skipif(not MINISTACK.exists(), reason="ministack is not installed: see docs/aws.md"),
]

Connect = Callable[[str], Any]


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    port = free_port()
    settings = environment(BIND_HOST="127.0.0.1", GATEWAY_PORT=str(port))
    settings.pop("PYTHONPATH")
    with (tmp_path / "ministack.log").open("wb") as log:
        process = subprocess.Popen([str(MINISTACK)], env=settings, cwd=tmp_path, stdout=log, stderr=log)
    emulated = Emulated(f"http://127.0.0.1:{port}")

    def at(service: str) -> Any:  # noqa: ANN401
        return client(service, "us-east-1", emulated=emulated)

    def answers() -> bool:
        try:
            return bool(at("s3").list_buckets())
        except BotoCoreError:
            return False

    try:
        until(answers, timeout_s=60)
        yield at
    finally:
        process.terminate()
        process.wait(10)


def known_part() -> str:
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, resource in load_template()["Resources"].items():
        if resource["Type"] in UNKNOWN_TO_MINISTACK:
            text = re.sub(rf"(?ms)^  {name}:\n.*?(?=^  \w+:\n|^Outputs:)", "", text)
    return text


def test_every_known_resource_is_created_and_nothing_is_left_after_deletion(connect: Connect) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        package.writestr("consumer_lambda.py", "def handle(event, context):\n    return {'batchItemFailures': []}\n")
    connect("s3").create_bucket(Bucket="code")
    connect("s3").put_object(Bucket="code", Key="consumer.zip", Body=buffer.getvalue())
    parameters = {"CodeBucket": "code", "CodeKey": "consumer.zip", "AlarmEmail": "alarms@example.com"}
    formation = connect("cloudformation")

    def stack() -> dict[str, Any]:
        return dict(formation.describe_stacks(StackName="clickstream")["Stacks"][0])

    formation.create_stack(
        StackName="clickstream",
        TemplateBody=known_part(),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    until(lambda: not stack()["StackStatus"].endswith("IN_PROGRESS"), timeout_s=60)

    created = formation.list_stack_resources(StackName="clickstream")["StackResourceSummaries"]
    assert stack()["StackStatus"] == "CREATE_COMPLETE"
    assert len(created) >= 35
    assert {output["OutputKey"] for output in stack()["Outputs"]} == set(load_template()["Outputs"])

    formation.delete_stack(StackName="clickstream")
    until(lambda: connect("kinesis").list_streams()["StreamNames"] == [])
    assert connect("dynamodb").list_tables()["TableNames"] == []
    assert [bucket["Name"] for bucket in connect("s3").list_buckets()["Buckets"]] == ["code"]
    assert connect("cloudwatch").describe_alarms()["MetricAlarms"] == []
