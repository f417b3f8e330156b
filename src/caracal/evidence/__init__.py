"""Tamper evidence over bytes: an append-only Merkle log and what proves things about it.

This package turns values into canonical bytes, bytes into a growing tree, a tree into
signed checkpoints and proofs, and a log into a file that anyone can verify offline.

It must never do I/O, read a clock, draw randomness, or know what an entry means: an
entry is bytes here. It must never answer a verification with a `bool`: what fails to
verify raises.

Open `tree.py` first, then `proofs.py`. The byte formats are in `docs/evidence-format.md`.
"""
