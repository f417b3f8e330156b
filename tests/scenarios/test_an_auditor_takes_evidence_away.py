"""`caracal evidence pack` on a running server, and the pack verified where nothing of ours runs."""

import json
import subprocess
import sys
import zipfile


def caracal(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "caracal_server.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_pack_of_what_happened_verifies_offline_and_not_when_a_byte_differs(deployment, tmp_path):
    zone = deployment.zone()
    authority = zone.agent().authority()
    answered = authority.call("/json")
    assert answered.status_code == 200
    assert authority.ask("api:unknown").status_code == 403
    zone.entry(answered.headers["x-request-id"], "call.result")
    url = f"{deployment.running.control}/v1/zones/{zone.id}/evidence/key"
    key = deployment.http.get(url, headers=deployment.operator).text.strip()
    file, where = tmp_path / "pack.zip", ("--server", deployment.running.control)
    register = tmp_path / "register.json"
    register.write_text("[]")
    token = tmp_path / "token"
    token.write_text(deployment.operator["authorization"].removeprefix("Bearer "))
    token.chmod(0o600)

    made = caracal(
        "evidence", "pack", "-o", file, "--zone", zone.name, "--register", register,
        *where, "--token-file", token, "--json",
    )  # fmt: skip

    assert made.returncode == 0, made.stderr
    outcomes = {row["id"]: row["outcome"] for row in json.loads(made.stdout)["statements"]}
    assert set(outcomes.values()) == {"borne out"}
    verified = caracal("evidence", "pack", "verify", file, "--log-key", key, "--json")
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout)["trusted"]
    with zipfile.ZipFile(file) as opened:
        manifest = json.loads(opened.read("pack.json"))
        assert opened.read("register.json") == b"[]"
    by_query = {one["query"]: one for one in manifest["logs"][0]["answers"]}
    assert by_query["calls_rest_on_a_mandate"]["asked"] == 1
    assert by_query["refusals_say_why"]["asked"] == 1

    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)
    refused = caracal("evidence", "pack", "verify", file, "--log-key", key)
    assert refused.returncode == 1
    assert "does not verify" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_pack_needs_a_place_a_real_period_and_a_real_release(tmp_path):
    for arguments, why in (
        ((), "where is the pack to go"),
        (("-o", "x", "--since", "2026-02-01", "--until", "2026-01-01"), "not before"),
        (("-o", "x", "--release", tmp_path), "no release"),
        (("-o", "x", "--register", tmp_path / "none"), "no file"),
    ):
        ended = caracal("evidence", "pack", *arguments)
        assert ended.returncode == 2
        assert why in ended.stderr
