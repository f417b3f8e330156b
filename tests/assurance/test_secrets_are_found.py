"""The scan for secrets: planted ones are found, and the list lets through only what it names."""

import hashlib
from pathlib import Path

import pytest

from assurance.checks.secret_scan import no_secret_is_committed

KEY = "AKIA" + "Z7QK3M5T9W2X4B6N"
TOKEN = "ghp_" + "k3Jv9QmZ2xT7" + "bN5wL8rY1cD4" + "fG6hS0aE3uPo"
PEM = "-----BEGIN EC " + "PRIVATE KEY-----\nMHcCAQEE\n"
MADE_UP = "Zk3vQ9sB" + "7xT1mN5p"
PASSWORD = f'password = "{MADE_UP}"\n'
ADDRESS = f"postgresql://owner:{MADE_UP}" + "@db/caracal\n"


def tree(root: Path, content: str, listed: str = "") -> Path:
    (root / "assurance").mkdir()
    (root / "assurance/secrets.toml").write_text(listed)
    (root / "settings.py").write_text(content)
    return root


def entry(**fields: str) -> str:
    lines = [f"{name} = {value}" for name, value in fields.items()]
    return "\n".join(["[[known]]", 'file = "settings.py"', *lines]) + "\n"


@pytest.mark.parametrize(
    "secret", [f'key = "{KEY}"\n', f'token = "{TOKEN}"\n', PEM, PASSWORD, ADDRESS]
)
def test_a_planted_secret_is_found_and_not_shown(tmp_path, secret):
    found = no_secret_is_committed(tree(tmp_path, f"import os\n{secret}"))
    assert any(text.startswith("settings.py:2: ") for text in found)
    assert MADE_UP not in "".join(found)
    assert KEY not in "".join(found)
    assert TOKEN not in "".join(found)


def test_a_remark_beside_a_secret_does_not_excuse_it(tmp_path):
    remark = "# pragma: allowlist " + "secret"
    assert no_secret_is_committed(tree(tmp_path, f'key = "{KEY}"  {remark}\n'))


def test_a_listed_value_passes_and_another_in_the_same_file_does_not(tmp_path):
    digest = hashlib.sha256(KEY.encode()).hexdigest()[:16]
    listed = entry(digests=f'["{digest}"]', reason='"an example that the manual uses"')
    root = tree(tmp_path, f'key = "{KEY}"\n', listed)
    assert no_secret_is_committed(root) == []
    (root / "settings.py").write_text(f'key = "{KEY}"\n' + PASSWORD)
    assert len(no_secret_is_committed(root)) == 1


def test_an_entry_without_reason_or_use_is_named(tmp_path):
    digest = hashlib.sha256(KEY.encode()).hexdigest()[:16]
    found = no_secret_is_committed(
        tree(tmp_path, "nothing = 1\n", entry(digests=f'["{digest}"]', reason='"why not"'))
    )
    assert "no reason is given" in found[0]
    assert digest in found[1]


def test_a_shape_that_would_let_everything_through_is_refused(tmp_path):
    listed = entry(line='".*"', reason='"anything goes in this one file"')
    found = no_secret_is_committed(tree(tmp_path, f'key = "{KEY}"\n', listed))
    assert any("so wide" in text for text in found)


@pytest.mark.parametrize("listed", [None, "known = 3\n", "[[known]\n"])
def test_without_a_list_that_can_be_read_nothing_passes(tmp_path, listed):
    root = tree(tmp_path, "nothing = 1\n", listed or "")
    if listed is None:
        (root / "assurance/secrets.toml").unlink()
    assert no_secret_is_committed(root)
