"""docs/deploy.md: its values install, its commands exist, its Secrets are those that are mounted."""

import json
import re

import jsonschema
import pytest
import yaml

from assurance.manifests import workloads
from caracal_server.cli.program import COMMANDS
from tests.deploy.box import ROOT
from tools import chart

PAGE = (ROOT / "docs/deploy.md").read_text()
DEFAULTS = yaml.safe_load((ROOT / chart.CHART / "values.yaml").read_text())
SCHEMA = json.loads((ROOT / chart.CHART / "values.schema.json").read_text())


def _merged(first: dict, second: dict) -> dict:
    merged = first | second
    for name in first.keys() & second.keys():
        if isinstance(first[name], dict):
            merged[name] = _merged(first[name], second[name])
    return merged


def _examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def _values() -> dict:
    whole, database = map(yaml.safe_load, _examples("yaml"))
    return _merged(whole, database)


def test_the_values_of_the_page_are_accepted():
    jsonschema.validate(_merged(DEFAULTS, _values()), SCHEMA)


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"mode": "services"}, "digests"),
        ({"image": {"digests": {"caracal": "1.0"}}}, "caracal"),
        ({"issuer": "http://caracal.example.com"}, "issuer"),
        ({"networkPolicy": {"database": {"to": []}}}, "networkPolicy"),
        ({"replicas": 2}, "replicas"),
        ({"settings": {"UNSAFE_PEER_NO_TLS": "true"}}, "UNSAFE_PEER_NO_TLS"),
        ({"processes": {"caracal": {"database": {"url": "postgresql://u:p@h/d"}}}}, "url"),
    ],
)
def test_values_that_are_unfinished_unknown_or_hold_a_secret_are_refused(given, where):
    with pytest.raises(jsonschema.ValidationError) as refused:
        jsonschema.validate(_merged(_merged(DEFAULTS, _values()), given), SCHEMA)
    assert where in f"{refused.value.json_path} {refused.value.message} {refused.value.schema}"


def test_helm_renders_the_values_of_the_page(tmp_path):
    try:
        helm = chart.find_helm()
    except chart.NoHelm as reason:
        pytest.skip(str(reason))
    (tmp_path / chart.VALUES).mkdir(parents=True)
    (tmp_path / chart.VALUES / "page.yaml").write_text(yaml.safe_dump(_values()))
    (tmp_path / chart.CHART).parent.mkdir(parents=True)
    (tmp_path / chart.CHART).symlink_to(ROOT / chart.CHART)
    assert "kind: StatefulSet" in chart.render(helm, tmp_path, "page")


def test_every_command_of_the_page_is_one():
    named = re.findall(
        r"(?:caracal_server\.cli \\\n|bin/caracal|^caracal) +([a-z]+)", PAGE, re.MULTILINE
    )
    assert {"operator", "provision"} <= set(named)
    assert set(named) <= COMMANDS.keys()


def test_the_secrets_of_the_page_are_those_that_are_mounted():
    mounted = {
        volume["secret"]["secretName"]
        for one in workloads(ROOT) if one.case == "services"
        for volume in one.pod["volumes"] if "secret" in volume
    }  # fmt: skip
    services = ("sts", "gateway", "coordinator", "audit", "control")
    assert mounted == {f"caracal-{one}-{kind}" for one in services for kind in ("keys", "tls")}
    assert 'secret generic "caracal-$service-keys"' in PAGE
    assert "caracal-SERVICE-tls" in PAGE
