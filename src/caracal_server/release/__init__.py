"""What a release must be: its files, their digests, what they hold, who built them, and how new it is.

Everything works on a directory and a trust root that the caller names: nothing is fetched, nothing is
installed. A check that could not run is said to be unchecked, never to hold. Only `keyless.py` knows the
`sigstore` library (the `release` extra). Open first: `verification.py`, which runs the checks in order.
"""
