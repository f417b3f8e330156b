"""Zone files: YAML read strictly, references resolved, every fault with its line."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.policy.validation import validate
from caracal_server.cli.marked_yaml import YamlFaulty, YamlUnreadable, read_yaml
from caracal_server.cli.zone_file import ZoneFileInvalid, read_zone_file
from caracal_server.control.desired_zone import desire

DEMO = Path("examples/demo/zone.yaml")
ENVIRONMENT = {"SHOP_TOKEN": "planted-token", "SHOP_URL": "http://127.0.0.1:9000"}

WHOLE = """\
zone: shop
applications:
  - name: agent
    expires_at: 2030-01-01T00:00:00Z
    secret: {file: secrets/agent}
providers:
  - name: orders
    kind: bearer_token
    secret: {env: TOKEN}
resources:
  - identifier: resource://orders
    upstream: https://${HOST}:${PORT}/v1
    provider: orders
    operations:
      GET /orders: orders:read
policy_file: policy.cedar
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "agent").write_bytes("a secret from a file é\r\n".encode())
    (tmp_path / "latin").write_bytes(b"a secret of 16 characters \xe9")
    (tmp_path / "policy.cedar").write_text("permit (principal, action, resource);\n")
    return tmp_path


def _read(folder, text, **environment):
    file = folder / "zone.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_zone_file(file, {"TOKEN": "t", "HOST": "orders.example", "PORT": "1"} | environment)


def _problems(folder, text, **environment):
    with pytest.raises(ZoneFileInvalid) as caught:
        _read(folder, text, **environment)
    assert caught.value.file == folder / "zone.yaml"
    return [str(problem) for problem in caught.value.problems]


def test_the_zone_of_the_demo_is_read():
    document = read_zone_file(DEMO, ENVIRONMENT)
    assert document.resources[0].upstream == "http://127.0.0.1:9000"
    assert document.providers[0].secret.reveal() == "planted-token"
    assert "planted-token" not in repr(document)


def test_references_are_resolved_where_the_file_lies(folder):
    document = _read(folder, WHOLE)
    assert document.applications[0].secret.reveal() == "a secret from a file é"
    assert document.providers[0].secret.reveal() == "t"
    assert document.resources[0].upstream == "https://orders.example:1/v1"
    assert document.policy == "permit (principal, action, resource);\n"


BAD = [
    ("", "line 1: column 1: there is nothing in it"),
    ("- a", "line 1: the document: must be a mapping"),
    ("zone: [", "line 1: column 8: "),
    ("zone: shop\n\tname: b", "line 2: column 1: "),
    ("zone: shop\nzone: shop", "line 2: zone: stands twice; the first is on line 1"),
    (b"zone: sh\xffop", "line 1: a zone file is UTF-8 text"),
    (b"zone: a\nx: \x00", "line 2: column 1: a character that YAML does not allow"),
    ("a: &a 1\nb: *a", "line 2: column 4: aliases are not read"),
    ("zone: a\n---\nzone: b", "line 2: column 1: "),
    ("zone: !!python/object:os.system a", "line 1: zone: tags are not read"),
    ("zone: !x {}", "line 1: zone: tags are not read"),
    ("? [a]\n: b", "line 1: the document: a field's name is a text"),
    ("zone:", "line 1: zone: is empty; give it a value"),
    ("zone: 2030", "line 1: zone: must be text; put it in quotes"),
    ('zone: "\\ud800"', "line 1: zone: is not Unicode text"),
    ("zone: shop\napplications:\n  - nmae: a", "line 3: applications[0].nmae: there is no such"),
    ("zone: shop\napplications:\n  - enabled: true", "line 3: applications[0].name: is missing"),
    (
        "zone: shop\npolicy_file: none.cedar",
        "line 2: policy_file: 'none.cedar' can not be read: No such",
    ),
    ("zone: shop\npolicy_file: 7", "line 2: policy_file: must be text"),
    ("zone: a\npolicy: a\npolicy_file: policy.cedar", "line 3: policy_file: policy is given too"),
    (
        WHOLE.replace("{env: TOKEN}", "t0ps3cret"),
        "line 9: providers[0].secret: a zone file holds no",
    ),
    (
        WHOLE.replace("{env: TOKEN}", "{evn: TOKEN}"),
        "secret.evn: there is no such field; did you m",
    ),
    (WHOLE.replace("{env: TOKEN}", "{}"), "line 9: providers[0].secret: comes from one place"),
    (
        WHOLE.replace("{env: TOKEN}", "{env: A, file: B}"),
        "providers[0].secret: comes from one plac",
    ),
    (WHOLE.replace("{env: TOKEN}", "{env: [A]}"), "providers[0].secret.env: must be text"),
    (WHOLE.replace("secrets/agent", "[a]"), "applications[0].secret.file: must be text"),
    (WHOLE.replace("secrets/agent", "latin"), "secret.file: 'latin' is not UTF-8 text"),
    (WHOLE.replace("secrets/agent", '"a\\0b"'), "'a\\x00b' is not a path"),
    (WHOLE.replace("TOKEN", "GONE"), "line 9: providers[0].secret.env: the variable 'GONE' is not"),
    (
        WHOLE.replace("secrets/agent", "gone"),
        "line 5: applications[0].secret.file: 'gone' can not be read",
    ),
    (WHOLE.replace("secrets/agent", "secrets"), "can not be read: Is a directory; paths are rela"),
    (WHOLE.replace("${HOST}", "${GONE}"), "line 12: resources[0].upstream: the variable 'GONE'"),
    (
        WHOLE.replace("provider: orders", "provider: others"),
        "line 13: resources[0].provider: there",
    ),
    (WHOLE.replace("GET /orders:", "FETCH orders:"), 'line 15: resources[0].operations["FETCH ord'),
    ("a: " + "[" * 30 + "]" * 30, "nested more than 20 deep"),
    ("a: " + "[" * 100_000, ""),
    ("# " + "a" * 1024 * 1024, "line 1: the file is too large; at most 1048576 bytes are read"),
]


@pytest.mark.parametrize(("text", "says"), BAD, ids=[str(text)[:40] for text, _ in BAD])
def test_a_fault_is_named_with_its_line(folder, text, says):
    problems = _problems(folder, text)
    assert any(says in problem for problem in problems), problems
    assert all("t0ps3cret" not in problem for problem in problems)


def test_one_fault_is_told_once(folder):
    assert len(_problems(folder, WHOLE.replace("TOKEN", "GONE"))) == 1
    assert len(_problems(folder, WHOLE.replace("${HOST}", "${GONE}"))) == 1
    several = (
        WHOLE.replace("TOKEN", "GONE").replace("${HOST}", "${GONE}").replace("agent", "a b", 1)
    )
    assert [problem.split(":")[0] for problem in _problems(folder, several)] == [
        "line 3",
        "line 9",
        "line 12",
    ]


def test_a_secret_of_the_wrong_form_is_not_shown(folder):
    problems = _problems(folder, WHOLE, TOKEN="planted\nsecret")
    assert problems == [
        "line 9: providers[0].secret: holds a control character, such as a line break; remove it"
    ]


def test_a_variable_that_is_not_utf8_is_refused(folder):
    text = WHOLE.replace("{file: secrets/agent}", "{env: AGENT}")
    assert _problems(folder, text, AGENT="sixteen characters \udcff") == [
        "line 5: applications[0].secret: is not UTF-8 text"
    ]


def test_no_is_a_name_and_only_true_and_false_are_booleans(folder):
    document = _read(folder, "zone: no\napplications: [{name: on, enabled: false}]")
    assert (document.zone, document.applications[0].name) == ("no", "on")
    assert document.applications[0].enabled is False
    assert _problems(folder, "zone: a\napplications: [{name: a, enabled: yes}]") == [
        "line 2: applications[0].enabled: must be true or false"
    ]


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ZoneFileInvalid, match="can not be read: No such file"):
        read_zone_file(tmp_path / "none.yaml", {})


PLAIN = st.recursive(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])) | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc d:#", max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text("abc", min_size=1), PLAIN, min_size=1, max_size=3))
def test_reading_gives_back_what_was_written(data):
    marked = read_yaml(yaml.safe_dump(data, allow_unicode=True))
    assert marked.data == data


@given(st.text(max_size=60) | st.text("[]{}:,-&*!|>'\"#%@ \n\tab1", max_size=60))
def test_no_text_does_anything_but_read_or_be_refused(text):
    line = None
    try:
        marked = read_yaml(text)
    except YamlUnreadable as fault:
        line = fault.line
    except YamlFaulty as faulty:
        line = min(line for line, _ in faulty.faults)
    else:
        line = marked.line_of(("none", 7))
    assert line >= 1


def _example_of_the_page():
    page = Path("docs/zone-file.md").read_text(encoding="utf-8")
    return page.partition("```yaml\n")[2].partition("```")[0]


def test_the_example_of_the_reference_is_a_zone_whose_policy_fits(folder):
    (folder / "secrets" / "orders-token").write_text("t")
    document = _read(
        folder,
        _example_of_the_page(),
        PARTNER_SECRET="a secret of 16 characters",
        WEATHER_KEY="k",
        WEATHER_URL="https://weather.example",
    )
    desired = desire(document, None, new_id=iter(map(str, range(100))).__next__)
    assert validate(document.policy, desired.vocabulary) == ()
    assert len(desired.resources) == 2
