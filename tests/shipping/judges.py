"""What code that is not ours says of what is shipped; it runs in an environment of its own."""

import subprocess
from pathlib import Path

JUDGES = Path(__file__).parents[2] / ".venv" / "tools" / "judges" / "bin" / "python"

OCSF = """
import json, sys
from py_ocsf_models.events.base_event import BaseEvent
from py_ocsf_models.objects.api import API
from py_ocsf_models.objects.fingerprint import FingerPrint
from py_ocsf_models.objects.metadata import Metadata
from py_ocsf_models.objects.resource_details import ResourceDetails
for line in sys.stdin:
    event = json.loads(line)
    # That library knows a finding's status and requires a version of a service; both are not in 1.7.0's
    # API Activity.
    BaseEvent.model_validate({**event, "status_id": None}, strict=False)
    Metadata.model_validate(event["metadata"])
    FingerPrint.model_validate(event["raw_data_hash"])
    if "api" in event:
        API.model_validate({**event["api"], "service": None})
    for resource in event.get("resources", ()):
        ResourceDetails.model_validate(resource)
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
