"""What implementations that are not ours say of a log's tiles; runs in their own environment.

Usage: tile_judge.py PREFIX VERIFIER-KEY INDEX OLD-SIZE; prints one JSON document. PREFIX is a URL, which is
read without entries, or a directory.
"""

import json
import sys
from pathlib import Path
from urllib.request import urlopen

import aics_tlog
from aics_tlog.tiles import parse_entry_bundle
from pymerkle import InmemoryTree

prefix, key, index, old = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
remote = prefix.startswith("http")
if remote:
    reader = aics_tlog.HttpTileReader(prefix, proxies={})
    note = urlopen(f"{prefix}/checkpoint").read()
else:
    reader = aics_tlog.FileSystemTileReader(prefix)
    note = Path(prefix, "checkpoint").read_bytes()
verified = aics_tlog.verify_checkpoint(aics_tlog.parse_note(note), aics_tlog.parse_vkey(key))
assert verified.log_ok, verified.error
assert verified.ok
size, root = verified.size, verified.root
report = aics_tlog.audit_tiles(reader, size, root, entries=not remote)
tiles = aics_tlog.VerifiedTileReader(reader, size, root)
said = {
    "size": size,
    "tiles": report.tiles,
    "bundles": report.bundles,
    "inclusion": [h.hex() for h in aics_tlog.inclusion_proof_from_tiles(tiles, index, size)],
    "consistency": [h.hex() for h in aics_tlog.consistency_proof_from_tiles(tiles, old, size)],
}
if not remote:
    tree = InmemoryTree(algorithm="sha256")
    for number in range(-(-size // 256)):
        width = min(256, size - 256 * number)
        bundle = reader.read_entry_bundle(number, None if width == 256 else width)
        for entry in parse_entry_bundle(bundle):
            tree.append_entry(entry)
    said["pymerkle_root"] = tree.get_state().hex()
    said["pymerkle_agrees"] = said["pymerkle_root"] == root.hex()
print(json.dumps(said))
