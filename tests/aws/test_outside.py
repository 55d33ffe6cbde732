"""The server beside AWS as others have built it: moto, boto3 and the aws command line."""

import datetime
import json

import boto3
import botocore.config
import botocore.exceptions
import pytest
from conftest import call

BUCKET = "call-logs"

# The key pair that the stand-in knows; no secret.
STAND_IN_KEYS = {
    "aws_access_key_id": "AKIAEMULATOREXAMPLE1",
    "aws_secret_access_key": "emulator/secret/for/tests/only/0123456789",
}


def statistics(cloud, metric, *dimensions):
    """The datapoints of a metric in the last ten minutes, as the command line tells them."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return cloud.aws(
        "cloudwatch", "get-metric-statistics",
        "--namespace", "VoiceS2S",
        "--metric-name", metric,
        "--start-time", (now - datetime.timedelta(minutes=10)).isoformat(),
        "--end-time", (now + datetime.timedelta(minutes=1)).isoformat(),
        "--period", "60",
        "--statistics", "Sum", "Average", "SampleCount", "Maximum",
        *(["--dimensions", *dimensions] if dimensions else []),
    )["Datapoints"]


def test_a_call_is_in_cloudwatch_and_in_the_bucket(cloud, start):
    cloud.aws("s3api", "create-bucket", "--bucket", BUCKET)
    server = start(
        "serve",
        SESSION_LOG=f"s3://{BUCKET}/calls",
        AWS_ENDPOINT_URL_S3=cloud.url,
        AWS_ENDPOINT_URL_CLOUDWATCH=cloud.url,
        METRICS_ENVIRONMENT="test",
        METRICS_SERVICE="voice",
    )
    url = server.first("url")
    told = lambda: [asked for _, asked in cloud.gateway.requests]  # noqa: E731

    # The documented interval is a minute, and the call lasts that long.
    first_minute = lambda: server.eventually(told, "the first publication", 75)  # noqa: E731
    session = call(url, "What are your opening hours?", first_minute)
    assert server.stop() == 0, "\n".join(server.lines)

    names = cloud.aws("cloudwatch", "list-metrics", "--namespace", "VoiceS2S")["Metrics"]
    contract = [m for m in names if m["MetricName"] == "ActiveWebSocketConnections"]
    dimensions = {frozenset((d["Name"], d["Value"]) for d in m["Dimensions"]) for m in contract}
    common = {("Environment", "test"), ("Service", "voice")}
    assert dimensions == {frozenset(), frozenset(common)}, contract
    connections = [m for m in told()[0]["MetricData"]
                   if m["MetricName"] == "ActiveWebSocketConnections"]
    for datum in connections:
        assert (datum["Value"], datum["Unit"]) == (1.0, "Count")
    common = [f"Name={name},Value={value}" for name, value in sorted(common)]
    points = statistics(cloud, "ActiveWebSocketConnections", *common)
    assert [(point["Sum"], point["Unit"]) for point in points] == [(1.0, "Count")], points
    started = statistics(cloud, "CallsStarted", *common)
    assert sum(point["Sum"] for point in started) == 1.0, started
    errors = [m["Dimensions"] for m in names if m["MetricName"] == "Errors"]
    sources = {d["Value"] for dimensions in errors for d in dimensions if d["Name"] == "Source"}
    assert sources == {"client", "sonic", "transcribe", "tool", "ours"}

    keys = cloud.aws("s3api", "list-objects-v2", "--bucket", BUCKET)["Contents"]
    logs = [entry["Key"] for entry in keys if entry["Key"].endswith(f"_{session}.json")]
    assert len(logs) == 1 and logs[0].startswith("calls/"), keys
    boto = boto3.client("s3", endpoint_url=cloud.url, region_name="us-east-1", **STAND_IN_KEYS)
    log = json.load(boto.get_object(Bucket=BUCKET, Key=logs[0])["Body"])
    assert log["sessionId"] == session and log["complete"], log
    assert any("opening hours" in said["text"] for said in log["transcript"]), log


def resolve(cloud, value_from):
    """What ECS makes of `valueFrom` in a task definition: `ARN:JSON_KEY:STAGE:VERSION`."""
    arn, key, stage, version = value_from.rsplit(":", 3)
    options = []
    if stage:
        options += ["--version-stage", stage]
    if version:
        options += ["--version-id", version]
    secret = cloud.aws("secretsmanager", "get-secret-value", "--secret-id", arn, *options)
    return json.loads(secret["SecretString"])[key]


def test_langfuse_keys_come_from_secrets_manager_as_ecs_gives_them(cloud, start):
    keys = {"PUBLIC_KEY": "pk-lf-outside", "SECRET_KEY": "sk-lf-canary"}
    made = cloud.aws(
        "secretsmanager", "create-secret",
        "--name", "voice-s2s/langfuse",
        "--secret-string", json.dumps(keys),
    )
    settings = {
        f"LANGFUSE_{key}": resolve(cloud, f"{made['ARN']}:{key}::") for key in keys
    }
    assert settings == {f"LANGFUSE_{key}": value for key, value in keys.items()}
    # Nobody listens there; a Langfuse that is away is no reason not to serve.
    server = start("serve", LANGFUSE_HOST="http://127.0.0.1:9", SESSION_LOG="off", **settings)
    call(server.first("url"), "What are your opening hours?")
    assert server.stop() == 0
    log = "\n".join(server.lines)
    assert "langfuse" in log and "sk-lf-canary" not in log, log


def test_boto3_puts_metrics_to_the_stand_in(start):
    """Which checks signatures and limits, unlike moto; boto3 speaks the JSON protocol to it."""
    url = start("emulator").first("endpoint")
    retries = botocore.config.Config(retries={"max_attempts": 0})

    def stand_in(**keys):
        return boto3.client(
            "cloudwatch", endpoint_url=url, region_name="us-east-1", config=retries,
            **(STAND_IN_KEYS | keys),
        )

    now = datetime.datetime.now(datetime.timezone.utc)
    data = [
        {"MetricName": "One", "Value": 1.0, "Unit": "Count", "Timestamp": now},
        {"MetricName": "Many", "Values": [0.5, 2.0], "Counts": [3, 1], "StorageResolution": 1,
         "Dimensions": [{"Name": "Service", "Value": "voice"}]},
    ]
    put = lambda client, data: client.put_metric_data(  # noqa: E731
        Namespace="VoiceS2S", MetricData=data
    )
    answer = put(stand_in(), data)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    # A large request comes compressed.
    assert put(stand_in(), data * 400)["ResponseMetadata"]["HTTPStatusCode"] == 200

    for wrong, code in [
        (data * 501, "InvalidParameterValue"),
        ([data[0] | {"Values": [1.0]}], "InvalidParameterCombination"),
        ([data[0] | {"Timestamp": now - datetime.timedelta(days=15)}], "InvalidParameterValue"),
    ]:
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            put(stand_in(), wrong)
        assert refused.value.response["Error"]["Code"] == code
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        put(stand_in(aws_secret_access_key="wrong"), data)
    assert refused.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
