"""The demo: real agents, a real API, and Caracal between them. `python -m examples.demo`."""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caracal.evidence.checkpoints import parse_checkpoint
from caracal.evidence.notes import parse_note
from examples.demo.help_desk import RunningHelpDesk, call_tools
from examples.demo.insider import copy_data, rewrite
from examples.demo.processes import ROOT, AgentProcess, RunningCaracal, RunningWitness
from examples.demo.story import PromiseBroken, Story, expect
from examples.demo.upstream import RunningDatasette

ZONE_FILE = Path(__file__).with_name("zone.yaml")
ORDERS = "/shop/orders.json?_shape=array"
INSERT = "/shop/orders/-/insert"
EVENTS = "/shop/events.csv?_stream=1"
NEW_ROW = {
    "row": {"customer": "Mallory", "item": "desk", "quantity": 1, "total_cents": 1, "status": "new"}
}


@dataclass(slots=True)
class Stage:
    """Everything that runs, and what the story has come to so far."""

    story: Story
    directory: Path
    shop: RunningDatasette
    caracal: RunningCaracal
    zone: str
    agent: AgentProcess
    reporter: AgentProcess
    session: str = ""
    working_session: str = ""
    delegation: str = ""
    reporter_session: str = ""
    reporter_delegation: str = ""
    refused_request: str = ""
    receipt: str = ""
    log_key: str = ""


@contextlib.contextmanager
def set_up(story: Story, directory: Path, help_desk: RunningHelpDesk) -> Iterator[Stage]:
    with contextlib.ExitStack() as stack:
        story.chapter("A third-party API and Caracal start")
        shop = stack.enter_context(RunningDatasette(directory))
        story.tell(f"Datasette serves a shop's database at {shop.url}; it wants a bearer token")
        started = time.monotonic()
        caracal = RunningCaracal.start(
            directory / "caracal",
            private_egress=f"{shop.url.removeprefix('http://')},{help_desk.authority}",
        )
        stack.callback(caracal.stop)
        took = time.monotonic() - started
        story.tell(
            f"Caracal is up in {took:.1f} s: control {caracal.control}, gateway {caracal.gateway}"
        )
        story.chapter("A zone is applied from examples/demo/zone.yaml")
        secrets = {"SHOP_TOKEN": shop.token, "SHOP_URL": shop.url}
        applied = caracal.command("apply", str(ZONE_FILE), environment=secrets)
        for change in applied["changes"]:
            story.tell(f"{change['action']} {change['kind']} {change['name']}")
        again = caracal.command("apply", str(ZONE_FILE), environment=secrets)
        expect(not again["changes"], "applying the same file twice changes nothing")
        story.tell("applied again: nothing to change")
        applications = {entry["name"]: entry for entry in applied["applications"]}
        zone = applied["zone"]["id"]
        agent = AgentProcess(caracal, zone, applications["orders-agent"])
        stack.callback(agent.stop)
        reporter = AgentProcess(caracal, zone, applications["report-agent"])
        stack.callback(reporter.stop)
        yield Stage(story, directory, shop, caracal, zone, agent, reporter)


def read_rows(stage: Stage) -> None:
    stage.story.chapter("An agent reads rows, without holding the key")
    agent = stage.agent
    stage.session = agent.do("start")["body"]["agent_session_id"]
    stage.working_session = agent.do("start", parent=stage.session)["body"]["agent_session_id"]
    stage.delegation = agent.do(
        "delegate",
        source_session_id=stage.session,
        target_session_id=stage.working_session,
        receiver_application_id=_application(agent),
        scopes=["orders:read", "orders:write", "events:read"],
        max_hops=2,
        ttl_seconds=600,
    )["body"]["delegation_edge_id"]
    answer = call(stage, agent, "orders:read", "GET", ORDERS)
    expect(answer["status"] == 200, "the agent may read")
    rows = answer["body"]
    stage.story.tell(f"GET {ORDERS} -> 200, {len(rows)} rows; the first: {rows[0]['customer']}, "
                     f"{rows[0]['item']}")  # fmt: skip
    told = agent.do("confess")
    seen = [*told["environment"].values(), *(value for _, value in told["headers"])]
    expect(not any(stage.shop.token in value for value in seen), "the agent never saw the key")
    stage.story.tell(
        f"its {len(told['environment'])} environment variables and {len(told['headers'])} headers "
        "hold no upstream token"
    )


def try_to_write(stage: Stage) -> None:
    stage.story.chapter("It tries to write")
    before = writes(stage.shop)
    refused = mint(stage, stage.agent, "orders:write")
    expect(refused["status"] == 403, "policy forbids the scope")
    stage.refused_request = refused["request_id"]
    stage.story.tell(f"asks for orders:write -> 403 {refused['body']['error_description']}")
    answer = call(stage, stage.agent, "orders:read", "POST", INSERT, NEW_ROW)
    expect(answer["status"] == 403, "a read mandate does not write")
    stage.receipt = answer["receipt"]
    stage.story.tell(f"POST {INSERT} -> 403 {answer['body']['error_description']}")
    expect(writes(stage.shop) == before == 0, "nothing reached the API")
    stage.story.tell("Datasette's own access log shows no write")


def delegate(stage: Stage) -> None:
    stage.story.chapter("It hands a narrower grant to another agent")
    reporter = stage.reporter
    stage.reporter_session = reporter.do("start")["body"]["agent_session_id"]
    stage.reporter_delegation = stage.agent.do(
        "delegate",
        source_session_id=stage.working_session,
        target_session_id=stage.reporter_session,
        receiver_application_id=_application(reporter),
        parent_edge_id=stage.delegation,
        scopes=["orders:read"],
        max_hops=1,
        ttl_seconds=300,
    )["body"]["delegation_edge_id"]
    wider = mint(stage, reporter, "events:read")
    expect(wider["status"] == 403, "what was not handed over is refused")
    stage.story.tell(
        f"report-agent asks for events:read -> 403 {wider['body']['error_description']}"
    )
    answer = call(stage, reporter, "orders:read", "GET", "/shop/orders/1.json")
    expect(answer["status"] == 200, "what was handed over works")
    stage.story.tell("report-agent reads GET /shop/orders/1.json -> 200")


def kill(stage: Stage) -> None:
    stage.story.chapter("The session is killed while a download runs")
    unspent = [
        (agent, mint(stage, agent, "orders:read")["body"]["access_token"])
        for agent in (stage.agent, stage.reporter)
    ]
    streaming = mint(stage, stage.agent, "events:read")["body"]["access_token"]
    stage.agent.ask("download", mandate=streaming, path=EVENTS)
    expect(stage.agent.answer().get("began") == 200, "the download began")
    ended = stage.caracal.command("session", "kill", stage.session, "--zone", "shop")
    cut = stage.agent.answer()
    expect(not cut["whole"], "the download was cut")
    stage.story.tell(f"caracal session kill -> {ended['ended_sessions']} sessions ended")
    stage.story.tell(f"the agent's download broke off after {cut['bytes']:,} bytes")
    for agent, mandate in unspent:
        answer = agent.do("call", mandate=mandate, method="GET", path=ORDERS)
        expect(answer["status"] == 401, "an unexpired mandate is refused after the kill")
        stage.story.tell(f"an unexpired mandate -> 401 {answer['body']['error_description']}")


def prove(stage: Stage) -> None:
    story, caracal = stage.story, stage.caracal
    story.chapter("What happened can be explained, and proven without this server")
    told = caracal.run("explain", stage.refused_request, "--zone", "shop")
    expect(told.returncode == 0, "one request can be explained")
    for line in told.stdout.strip().splitlines()[:6]:
        story.tell("| " + line)
    bundle = stage.directory / "evidence.jsonl"
    exported = caracal.command("evidence", "export", "--zone", "shop", "--output", str(bundle))
    key = exported["key"]
    verified = caracal.run("evidence", "verify", str(bundle), "--log-key", key)
    expect(verified.returncode == 0, "the exported evidence verifies offline")
    story.tell("caracal evidence verify -> " + verified.stdout.strip().splitlines()[-1])
    tampered = stage.directory / "tampered.jsonl"
    lines = bundle.read_bytes().splitlines(keepends=True)
    victim = next(number for number, line in enumerate(lines) if b"orders:write" in line)
    lines[victim] = lines[victim].replace(b"orders:write", b"orders:writf", 1)
    tampered.write_bytes(b"".join(lines))
    caught = caracal.run("evidence", "verify", str(tampered), "--log-key", key)
    expect(caught.returncode != 0, "one changed byte is found")
    story.tell("one byte changed -> " + (caught.stderr or caught.stdout).strip().splitlines()[0])
    stage.log_key = key


def keep_a_receipt(stage: Stage) -> Path:
    stage.story.chapter("The agent keeps the receipt of a refusal, and it verifies offline")
    kept = stage.directory / "refused.tlog-proof"
    stage.story.tell(f"Caracal-Receipt: {stage.receipt}")
    taken = stage.caracal.run("evidence", "receipt", stage.receipt, "-o", str(kept))
    expect(taken.returncode == 0, f"the receipt can be fetched: {taken.stderr}")
    verified = stage.caracal.run(
        "evidence", "verify-receipt", str(kept), "--log-key", stage.log_key,
        environment={"CARACAL_SERVER": "http://127.0.0.1:1"},
    )  # fmt: skip
    expect(verified.returncode == 0, f"the receipt verifies: {verified.stderr}")
    *_, last = told = verified.stdout.strip().splitlines()
    stage.story.tell("| " + next(line for line in told if line.startswith("decision")))
    stage.story.tell("caracal evidence verify-receipt -> " + last)
    return kept


def rewrite_the_log(stage: Stage, kept: Path) -> None:
    stage.story.chapter("An insider with the database and the log's key rewrites the log")
    witness = RunningWitness.start(stage.directory / "witness", stage.log_key)
    try:
        _rewrite_the_log(stage, kept, witness)
    finally:
        witness.stop()


def _rewrite_the_log(stage: Stage, kept: Path, witness: RunningWitness) -> None:
    story, caracal = stage.story, stage.caracal
    before = (stage.directory / "evidence.jsonl").read_bytes()
    note = str(json.loads(before.splitlines()[0])["checkpoint"])
    cosigned = parse_checkpoint(parse_note(note).text).size
    signed = witness.submit(note, 0, ())
    expect(signed.status_code == 200, f"the witness cosigns the log: {signed.text}")
    story.tell(
        f"before that, a witness in a process of its own cosigns the log: {cosigned} entries"
    )
    copy, key = stage.directory / "copy", stage.log_key
    copy_data(caracal.data, copy)
    forged = rewrite(
        copy, key.partition("+")[0], stage.zone, b'"verdict":"refuse"', b'"verdict":"allow"'
    )
    bundle = stage.directory / "rewritten.jsonl"
    bundle.write_bytes(forged.bundle())
    story.tell(f"entry {forged.index} now says allow; all hashes and the signature are made anew")
    believed = caracal.run("evidence", "verify", str(bundle), "--log-key", key)
    expect(believed.returncode == 0, "a rewritten log is in order by itself")
    story.tell("alone, it verifies: " + believed.stdout.strip().splitlines()[-1])
    caught = caracal.run(
        "evidence", "verify", str(bundle), "--log-key", key, "--receipt", str(kept)
    )
    expect(caught.returncode == 1, "the receipt that was kept contradicts it")
    story.tell("held to the receipt -> " + _reason(caught.stderr))
    refused = witness.submit(forged.note, cosigned, forged.proof_from(cosigned))
    expect(refused.status_code in (409, 422), f"the witness refuses it: {refused.status_code}")
    expect("\u2014" not in refused.text, "the witness signs nothing")
    story.tell(
        f"shown to the witness -> {refused.status_code}, not cosigned: not the log that it saw"
    )


def _reason(line: str) -> str:
    return line.strip().splitlines()[0].partition("does not verify: ")[2].partition(";")[0]


def mint(stage: Stage, agent: AgentProcess, scope: str) -> Any:
    if agent is stage.agent:
        session, delegation = stage.working_session, stage.delegation
    else:
        session, delegation = stage.reporter_session, stage.reporter_delegation
    return agent.do("mint", session=session, delegation=delegation, scope=scope)


def call(
    stage: Stage, agent: AgentProcess, scope: str, method: str, path: str, body: Any = None
) -> Any:
    minted = mint(stage, agent, scope)
    expect(minted["status"] == 200, f"{scope} is granted: {minted['body']}")
    return agent.do(
        "call", mandate=minted["body"]["access_token"], method=method, path=path, body=body
    )


def writes(shop: RunningDatasette) -> int:
    return sum(request.method == "POST" for request in shop.requests())


def _application(agent: AgentProcess) -> str:
    return str(agent.do("confess")["environment"]["CARACAL_APPLICATION_ID"])


def keep_running(stage: Stage) -> None:
    print(f"\nStill running. Look around with:  export CARACAL_DATA={stage.caracal.data}")
    print(f"What it logs: {stage.caracal.log}")
    print("  caracal status | caracal session list | caracal evidence tail --zone shop")
    print("Press Ctrl-C to stop.")
    with contextlib.suppress(KeyboardInterrupt):
        stage.caracal.process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="caracal demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    options = parser.parse_args()
    story = Story()
    with tempfile.TemporaryDirectory(prefix="caracal-demo-") as directory:
        try:
            # The MCP server takes its time to start, and is needed last.
            with (
                RunningHelpDesk(Path(directory)) as help_desk,
                set_up(story, Path(directory), help_desk) as stage,
            ):
                for chapter in (read_rows, try_to_write, delegate, kill, prove):
                    chapter(stage)
                rewrite_the_log(stage, keep_a_receipt(stage))
                call_tools(story, stage.caracal, help_desk)
                if options.keep:
                    keep_running(stage)
        except PromiseBroken as broken:
            print(f"the demo failed: expected that {broken}", file=sys.stderr)
            return 1
    if not options.keep:
        where = ROOT if Path.cwd() != ROOT else "."
        print(
            f"\nEvery promise held. To keep it running and look around: make -C {where} demo KEEP=1"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
