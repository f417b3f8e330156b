"""Keys at rest, and what is sealed under them.

Each key is a file of its own, so that a service can be given the ones it needs and no other: Control
seals credentials and never opens one, the Gateway opens them and signs nothing, the STS signs and opens
no credential. Open `key_files.py` first.
"""
