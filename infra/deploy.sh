#!/usr/bin/env bash
# Deploys or updates the stack: ./infra/deploy.sh STACK [NAME=VALUE of a template parameter ...]
# Needs the aws command line with credentials, zip, and Python 3.10 or newer with pip. Prints the cost first and asks.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stack=${1:?usage: ./infra/deploy.sh STACK [AlarmEmail=you@example.com ...]}
shift
python=${PYTHON:-.venv/bin/python}
account=$(aws sts get-caller-identity --query Account --output text)
region=$(aws configure get region || true)
region=${AWS_REGION:-${region:-us-east-1}}
export AWS_REGION=$region AWS_DEFAULT_REGION=$region
bucket=$stack-code-$account-$region

printf 'Stack %s in %s, account %s. At %s events/s the bill would be about:\n\n' \
  "$stack" "$region" "$account" "${EVENTS_PER_SECOND:-10}"
"$python" -m clickstream cost --events-per-second "${EVENTS_PER_SECOND:-10}"
if [ "${YES:-}" != 1 ]; then
  read -r -p 'Deploy? [y/N] ' answer
  [ "$answer" = y ] || exit 1
fi

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
# The consumer's one compiled package, for Lambda's Python and machine; boto3 is part of the runtime.
version=$("$python" -c 'import importlib.metadata as m; print(m.version("msgspec"))')
"$python" -m pip install --quiet --target "$build" --platform manylinux2014_x86_64 --implementation cp \
  --python-version 3.13 --only-binary=:all: "msgspec==$version"
cp -r clickstream "$build/"
cp config.py infra/consumer_lambda.py infra/reconcile_lambda.py "$build/"
find "$build" -name __pycache__ -prune -exec rm -rf {} +
# Fixed times, so that equal content gives an equal file and an unchanged consumer is not deployed again.
find "$build" -exec touch -d '2026-01-01T00:00:00Z' {} +
(cd "$build" && find . -type f | LC_ALL=C sort | zip -q -X -@ consumer.zip)
digest=$(sha256sum "$build/consumer.zip" | cut -c1-16)

if ! aws s3api head-bucket --bucket "$bucket" 2>/dev/null; then
  aws s3 mb "s3://$bucket"
  aws s3api put-public-access-block --bucket "$bucket" --public-access-block-configuration \
    BlockPublicAcls=true,BlockPublicPolicy=true,IgnorePublicAcls=true,RestrictPublicBuckets=true
fi
aws s3 cp --only-show-errors "$build/consumer.zip" "s3://$bucket/consumer-$digest.zip"

aws cloudformation deploy --stack-name "$stack" --template-file infra/template.yaml \
  --capabilities CAPABILITY_IAM --no-fail-on-empty-changeset \
  --parameter-overrides "CodeBucket=$bucket" "CodeKey=consumer-$digest.zip" "$@"

output() {
  aws cloudformation describe-stacks --stack-name "$stack" \
    --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue" --output text
}
view=$(aws athena list-named-queries --work-group "$(output WorkGroupName)" --query 'NamedQueryIds[0]' --output text)
query=$(aws athena get-named-query --named-query-id "$view" --query NamedQuery.QueryString --output text)
aws athena start-query-execution --work-group "$(output WorkGroupName)" --query-string "$query" \
  --query-execution-context "Database=$(output DatabaseName)" >/dev/null

printf '\nSettings of the API:\n'
printf 'export ENV=aws AWS_REGION=%s\n' "$region"
printf 'export KINESIS_STREAM_NAME=%s\n' "$(output KinesisStreamName)"
printf 'export S3_BUCKET_NAME=%s\n' "$(output S3BucketName)"
printf 'export DYNAMODB_TABLE_NAME=%s\n' "$(output DynamodbTableName)"
printf 'Its role needs the policy %s\n' "$(output ProducerPolicyArn)"
