"""The zones' signing keys, in memory and in the store."""
