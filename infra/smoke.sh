#!/usr/bin/env bash
# Sends 100 events through a deployed stack and follows them: ./infra/smoke.sh STACK
# Stream -> counters within a minute, lake within ten, and every question of the analytics in Athena.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stack=${1:?usage: ./infra/smoke.sh STACK}
python=${PYTHON:-.venv/bin/python}
output() {
  aws cloudformation describe-stacks --stack-name "$stack" \
    --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue" --output text
}
region=${AWS_REGION:-$(aws configure get region)}
bucket=$(output S3BucketName)
table=$(output DynamodbTableName)
database=$(output DatabaseName)
workgroup=$(output WorkGroupName)
mark=smoke-$(date -u +%Y%m%d%H%M%S)
events=$(mktemp)
trap 'rm -f "$events"' EXIT

for number in $(seq 1 100); do
  now=$(date -u +%Y-%m-%dT%H:%M:%S.000Z)
  printf '{"event_id":"%s-%s","event_type":"page_view","session_id":"%s","timestamp":"%s","properties":{"page":"/%s"},"received_at":"%s"}\n' \
    "$mark" "$number" "$mark" "$now" "$mark" "$now"
done >"$events"
"$python" -m clickstream replay --from "$events" --to "kinesis:$(output KinesisStreamName)" --region "$region"

# await SECONDS WHAT COMMAND ...: until the command succeeds.
await() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ "$SECONDS" -gt "$end" ]; then
      printf 'FAILED: %s\n' "$what"
      exit 1
    fi
    sleep 5
  done
  printf 'ok: %s\n' "$what"
}
counted() {
  aws dynamodb get-item --table-name "$table" \
    --key "{\"pk\":{\"S\":\"session#$mark\"},\"sk\":{\"S\":\"state\"}}" | grep -q '"body"'
}
ask() {
  local id state
  id=$(aws athena start-query-execution --work-group "$workgroup" --query-execution-context "Database=$database" \
    --query-string "$1" --query QueryExecutionId --output text)
  while :; do
    state=$(aws athena get-query-execution --query-execution-id "$id" --query QueryExecution.Status.State --output text)
    case $state in
      SUCCEEDED) break ;;
      FAILED | CANCELLED)
        aws athena get-query-execution --query-execution-id "$id" --query QueryExecution.Status.StateChangeReason
        return 1
        ;;
    esac
    sleep 1
  done
  aws athena get-query-results --query-execution-id "$id" --query 'ResultSet.Rows[1].Data[0].VarCharValue' --output text
}
in_lake() {
  [ "$(ask "SELECT count(*) FROM events_dedup WHERE session_id = '$mark'")" = 100 ]
}
await 90 'the session is counted in DynamoDB' counted
await 600 'all 100 events are in the lake, each once' in_lake
for name in funnel traffic sessions retention paths top_pages top_products revenue conversion_by_hour breakdown; do
  ask "$("$python" -m clickstream sql "$name" --athena --database "$database")" >/dev/null
  printf 'ok: Athena answers %s\n' "$name"
done
if aws s3 ls "s3://$bucket/errors/" >/dev/null 2>&1; then
  printf 'FAILED: there are objects in s3://%s/errors/\n' "$bucket"
  exit 1
fi
printf 'All is well.\n'
