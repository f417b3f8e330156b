"""A witness: cosigns the checkpoints of logs that it trusts in nothing (c2sp.org/tlog-witness)."""
