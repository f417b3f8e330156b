"""What an auditor takes away: evidence, what it says about a period, and the release that made it.

A pack is made from verified bundles and verified again by anyone, with no server and no network: every
answer in it is computed anew from the entries. Start reading in `packing.py`. It never judges whether
a framework is met; it says which statements the entries and the tests bear out.
"""
