"""Data documents to try, and the ones they are written from."""

import json

HEAD = "# caracal:data-document\npackage caracal.authz\nimport rego.v1\n"


def document(**rules: object) -> str:
    """A document as clients write it: compact JSON, a rule a line."""
    lines = (
        f"{name} := {json.dumps(value, separators=(',', ':'))}" for name, value in rules.items()
    )
    return HEAD + "".join(f"{line}\n" for line in lines)
