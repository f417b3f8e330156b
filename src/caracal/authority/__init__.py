"""What may be done, by whom, and for how long.

Pure: every function here takes values, the instant to judge at included, and returns a value. Nothing
in this package reads a clock, a file, the network or a random source, and nothing here knows HTTP,
JSON Web Tokens or SQL.

Open first: `exchange.py` (who gets a mandate) and `admission.py` (which call goes through).
"""
