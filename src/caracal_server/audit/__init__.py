"""The Audit service: evidence in order, in a Merkle log, under signed checkpoints, open to proof.

It holds the log's signing key. It must never rewrite or drop an entry, and never sign a checkpoint
that does not continue the one before: rather than that, it stops, and nothing is decided any more.
Open `sequencer.py` first: everything that is recorded passes through it.
"""
