"""What code that is not ours says of what is shipped; it runs in an environment of its own."""

import subprocess
from pathlib import Path

JUDGES = Path(__file__).parents[2] / ".venv" / "tools" / "judges" / "bin" / "python"

OCSF = """
import json, sys
from ocsf import events
CLASSES = {
    3001: events.AccountChange, 3003: events.AuthorizeSession, 3004: events.EntityManagement,
    3005: events.UserAccess, 6002: events.ApplicationLifecycle, 6003: events.ApiActivity,
}
for line in sys.stdin:
    event = json.loads(line)
    CLASSES[event["class_uid"]].model_validate(event)
    print("ok")
"""
OTLP = """
import sys
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
read = Parse(sys.stdin.read(), ExportLogsServiceRequest())
for resource in read.resource_logs:
    for scope in resource.scope_logs:
        for record in scope.log_records:
            found = {it.key: it.value for it in record.attributes}
            print(found["caracal.index"].int_value, record.time_unix_nano, record.body.string_value[:1])
"""


def judge(program: str, text: bytes) -> list[str]:
    """Run a judge over a text, and return what it said, line by line."""
    ended = subprocess.run(
        [JUDGES, "-I", "-c", program], input=text, capture_output=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout.decode().splitlines()
