"""Policy: Cedar rules over the zone's resources. Default deny; forbid wins; an error refuses.

Pure: text in, decisions out. Rules P1 to Pn are written down in `docs/policy.md`.
Open first: `engine.py`.
"""
