"""The register of security controls, and the checks that hold each of them against its evidence.

`controls/` holds the rows, one file for each area; `checks/` holds the evidence; `page.py` renders what
an adopter reads. Nothing here may state what no check has seen. Start reading in `register.py`.
"""
