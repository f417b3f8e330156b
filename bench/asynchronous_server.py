"""`caracal up`, altered: decisions do not wait for their evidence. For comparison only.

The product has no such mode. Entries are queued as results are and stored a moment later, so the work is
the same and only the waiting is gone: what a call takes longer in the real server is what evidence before
effect costs it.
"""

from caracal.authority.events import Entry
from caracal.authority.identifiers import ZoneId
from caracal_server.audit.sequencer import Sequencer
from caracal_server.cli.program import main
from caracal_server.ports.evidence import Receipt


async def append_without_waiting(self: Sequencer, entry: Entry) -> Receipt:
    """Stands for `Sequencer.append`."""
    self.enqueue(entry)
    return Receipt(ZoneId(entry.zone), -1, b"")


if __name__ == "__main__":
    Sequencer.append = append_without_waiting  # type: ignore[method-assign]  # (what this module is for)
    main()
