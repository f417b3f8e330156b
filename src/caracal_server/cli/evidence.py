"""`caracal evidence`: look at the log, take it away, and verify it where nothing of ours runs."""

from importlib.util import find_spec

import typer

from caracal_server.cli import evidence_pack
from caracal_server.cli.evidence_drop import drop
from caracal_server.cli.evidence_erase import redact, shred
from caracal_server.cli.evidence_export import export, proof
from caracal_server.cli.evidence_receipt import receipt
from caracal_server.cli.evidence_tail import tail
from caracal_server.cli.evidence_tiles import fsck, tiles
from caracal_server.cli.evidence_verify import verify
from caracal_server.cli.evidence_verify_receipt import verify_receipt_file

app = typer.Typer(help="The tamper-evident log of every decision, effect and act.")
app.command("tail")(tail)
app.command("export")(export)
app.command("verify")(verify)
app.command("proof")(proof)
app.command("tiles")(tiles)
app.command("fsck")(fsck)
app.command("drop")(drop)
app.command("shred")(shred)
app.command("redact")(redact)
app.command("receipt")(receipt)
app.command("verify-receipt")(verify_receipt_file)
if find_spec("structlog") is not None:
    # The command line in one file brings nothing that runs on, and so not what this one logs with.
    from caracal_server.cli.evidence_ship import ship

    app.command("ship")(ship)
app.add_typer(evidence_pack.app, name="pack")
