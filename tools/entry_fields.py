"""What every field of an entry says: for the JSON Schema, the page and the ledger of what was released."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Told:
    """A field's meaning, when it is there, and the pattern of its texts if there is one."""

    meaning: str
    present: str
    pattern: str = ""


_HASH: Final = "^[0-9a-f]{64}$"
_DECIDED: Final = "exchanges, calls, results and acts that have one"
_POLICY: Final = "policy was asked"

FIELDS: Final = {
    "format": Told("version of this form, 1", "always"),
    "kind": Told("what was decided or done: the entry's tag", "always"),
    "zone": Told("id of the zone; `system` of what belongs to none", "always"),
    "at": Told("when it was decided: µs since 1970, UTC, by the clock of who decided", "always"),
    "sequenced_at": Told("when it got its place: µs since 1970, UTC, by the clock of who writes the log; "
                         "never less than in the entry before", "always; older logs lack it"),
    "request": Told("id of the HTTP request that caused it; at a start, of the instance", "always"),
    "instance": Told("the process that decided: the `request` of its `service.start`, which is in the log "
                     "of `system`; of a result of unknown outcome, the process of its call",
                     "always, but for what Audit writes into logs by itself"),
    "verdict": Told("`allow` or `refuse`", "something was decided"),
    "reason": Told("the reason code of a refusal or a failure, or the reason given for an act",
                   "there is one"),
    "detail": Told("a sentence for people, without secrets", "there is one"),
    "application": Told("id of the application that asked", "one is known, or claimed"),
    "application_name": Told("its name at that time", "it is proven"),
    "subject": Told("who it worked for: the application's id; a user's name is "
                    "[committed to](#what-can-be-forgotten)", "it is proven"),
    "subject_issuer": Told("who vouches for the subject; committed to", "the subject is a user"),
    "session": Told("id of the session", _DECIDED),
    "delegations": Told("ids of the delegations, first hand to last", "authority was handed on"),
    "resource": Told("identifiers of the resources, separated by spaces", "one is named"),
    "operation": Told("method and path of a call; no query; at an MCP server its message's method and "
                      "the name in it", "calls"),
    "arguments": Told("SHA-256 of the query, byte for byte as it came after the `?`; at an MCP server of "
                      "the message's `arguments` in RFC 8785 form",
                      "calls with a query, messages with arguments", _HASH),
    "argument_values": Told("the message's `arguments` in RFC 8785 form", "the resource says "
                            "`record_arguments: true`, and they have at most 16 KiB"),
    "scopes": Told("asked for at an exchange, needed at a call; separated by spaces", "there are any"),
    "mandate": Told("id of the mandate minted or presented", "there is one"),
    "mandate_class": Told("`access` when the mandate minted is good for many calls at one MCP server; left "
                          "out, it is spent by one", "exchanges"),
    "policy": Told("digest of the policy version that was asked or applied; at a start SHA-256 of the JSON "
                   "object of zone ids and policy digests", "policy was asked or changed, or a process "
                   "that asks policies starts"),
    "policies": Told("ids of the policies that determined it", "there are any"),
    "approval": Told("id of the approval that it rests on", "it rests on one"),
    "answers": Told("`request` of the decision that a result belongs to; `mandate` tells those of one "
                    "request apart", "results"),
    "target": Told("what an act was done to, what starts, where was exported to, or what a shard's log is "
                   "called", "acts"),
    "actor": Told("the operator: name and token id", "acts of operators"),
    "digest": Told("SHA-256 of what was applied, kept or exported; at a start of the settings, which hold "
                   "no secret; the root of a shard's tree; of a tool's definition in RFC 8785 form",
                   "`zone.apply`, `policy.document`, `service.start`, `evidence.export`, "
                   "`shard.checkpoint`, `tool.seen`, `tool.changed`, `tool.accept`"),
    "code": Told("SHA-256 over the installed files, as `caracal verify-install` prints it",
                 "`service.start`", _HASH),
    "code_state": Told("`intact`, `different` or `unknown`: held to the wheel's RECORD", "`service.start`"),
    "status": Told("HTTP status of the upstream", "results with a response"),
    "sent_bytes": Told("bytes of the caller's body that were passed on", "results, unless none"),
    "received_bytes": Told("bytes of the upstream's body that came back", "results, unless none"),
    "duration_us": Told("µs from the call's arrival to its end", "results"),
    "body": Told("SHA-256 of the `sent_bytes`", "`CARACAL_BODY_DIGESTS` is true, and there were any",
                 _HASH),
    "answer": Told("SHA-256 of the `received_bytes`, codings as they came",
                   "`CARACAL_BODY_DIGESTS` is true, and there were any", _HASH),
    "error": Told("what ended a call that did not end well", "results of such calls"),
    "expires_at": Told("seconds since 1970 at which a mandate, delegation or session ends", "it ends"),
    "lifecycle": Told("of the session", _POLICY),
    "labels": Told("of the session", f"{_POLICY}, and there are any"),
    "depth": Told("how many sessions stand above it", f"{_POLICY}, and there are any"),
    "root": Told("name of the application that the delegations began with", "it is another one"),
    "template": Told("the declared operation that a call is", "it reads differently"),
    "asked": Told("the resources that policy was asked about", "`resource` does not name them"),
    "undeclared": Told("scopes that the resource did not declare any more", "there are any"),
    "held": Told("scopes of the delegation or mandate", "`scopes` are others"),
    "checkpoint": Told("the signed checkpoint of a shard's log, a C2SP signed note", "`shard.checkpoint`"),
    "narrowed": Told("ids of what the mandate was narrowed from by holders, the one that was minted first; "
                     "`mandate` is the id of the link that closes it", "calls with a narrowed mandate"),
    "holders": Told("thumbprints of keys (RFC 7638): of a call, who signed the narrowing of each in "
                    "`narrowed`; of an exchange, whom the mandate is bound to",
                    "`narrowed` is there, or the mandate is bound"),
    "committed": Told("fields that are committed to instead of written: base64url of SHA-256(salt, 0x00, "
                      "canonical JSON of the value)", "there are any"),
    "first_index": Told("first entry that was exported", "`evidence.export`, unless 0"),
    "end_index": Told("the entry after the last one", "`evidence.export`, `evidence.drop`"),
}  # fmt: skip


def table() -> str:
    """The table of the page."""
    rows = (f"| `{name}` | {told.meaning} | {told.present} |" for name, told in FIELDS.items())
    return "\n".join(("| field | says | is there when |", "|---|---|---|", *rows))
