"""The composition root: reads the environment, builds every part and wires them together.

Nothing else constructs an adapter, and nothing imports this package but the CLI.
Open first: `all_in_one.py`.
"""
