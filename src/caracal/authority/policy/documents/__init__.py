"""Data documents: grants written as data in Rego syntax, read once and translated to Cedar.

This reads the literals that such documents hold and evaluates nothing (docs/data-documents.md). What is
not plain data is refused with its line and its name.
"""
