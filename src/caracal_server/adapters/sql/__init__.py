"""The stores, on SQLite and PostgreSQL: one set of SQLAlchemy Core functions for both.

Nothing here decides. Every function runs inside one transaction that `Database` opens; what can not be
stored or reached raises `Unavailable`. Open `database.py` first, then `tables.py`.
"""
