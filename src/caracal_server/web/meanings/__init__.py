"""What every reason for a refusal means over HTTP: the table behind `docs/errors.md`.

One module per group of reasons, each a mapping that `problems.py` joins. A test holds the whole to
`Reason`: each member once, none missing.
"""

from caracal_server.web.meanings import (
    administration,
    asking,
    calls,
    control_keys,
    graph,
    mandates,
    subjects,
)
from caracal_server.web.meanings.answers import Meaning, Meanings

GROUPS: tuple[tuple[str, Meanings], ...] = (
    ("Who asks, and what for", asking.MEANINGS),
    ("For whom", subjects.MEANINGS),
    ("Control keys", control_keys.MEANINGS),
    ("Sessions and delegations", graph.MEANINGS),
    ("Policy and mandates", mandates.MEANINGS),
    ("Calls through the Gateway", calls.MEANINGS),
    ("Operators and the system itself", administration.MEANINGS),
)

MEANINGS: Meanings = {reason: meaning for _, group in GROUPS for reason, meaning in group.items()}

__all__ = ["GROUPS", "MEANINGS", "Meaning", "Meanings"]
