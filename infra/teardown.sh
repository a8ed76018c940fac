#!/usr/bin/env bash
# Deletes the stack with everything in it, the lake as well: ./infra/teardown.sh STACK
set -euo pipefail

stack=${1:?usage: ./infra/teardown.sh STACK}
account=$(aws sts get-caller-identity --query Account --output text)
region=${AWS_REGION:-$(aws configure get region)}
lake=$(aws cloudformation describe-stacks --stack-name "$stack" \
  --query "Stacks[0].Outputs[?OutputKey=='S3BucketName'].OutputValue" --output text)
code=$stack-code-$account-$region

printf 'This deletes the stack %s and ALL events in s3://%s for good.\n' "$stack" "$lake"
if [ "${YES:-}" != "$stack" ]; then
  read -r -p "Type the name of the stack to go on: " answer
  [ "$answer" = "$stack" ] || exit 1
fi
# First what writes into the bucket, or it would not stay empty.
delivery=$(aws cloudformation describe-stacks --stack-name "$stack" \
  --query "Stacks[0].Outputs[?OutputKey=='DeliveryName'].OutputValue" --output text)
aws firehose delete-delivery-stream --delivery-stream-name "$delivery" --allow-force-delete || true
aws s3 rm --recursive --only-show-errors "s3://$lake"
aws cloudformation delete-stack --stack-name "$stack"
aws cloudformation wait stack-delete-complete --stack-name "$stack"
aws s3 rb --force "s3://$code"

left=$(aws resourcegroupstaggingapi get-resources --tag-filters "Key=aws:cloudformation:stack-name,Values=$stack" \
  --query 'ResourceTagMappingList[].ResourceARN' --output text)
if [ -n "$left" ]; then
  printf 'Still there (a KMS key waits 7 days before it is deleted):\n%s\n' "$left"
else
  printf 'Nothing is left.\n'
fi
