"""The shop: six orders a person can read, and enough events for a long download."""

import sqlite3
from contextlib import closing
from pathlib import Path

EVENTS = 100_000

ORDERS = (
    ("Amara Okafor", "walnut desk", 1, 48_900, "paid"),
    ("Bruno Silva", "reading lamp", 2, 7_800, "shipped"),
    ("Chiyo Tanaka", "tea kettle", 1, 5_450, "paid"),
    ("Dalia Haddad", "wool blanket", 3, 20_700, "packed"),
    ("Elif Demir", "garden chair", 4, 35_600, "shipped"),
    ("Finn Larsen", "bread oven", 1, 12_900, "refunded"),
)

SCHEMA = """
CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  customer TEXT NOT NULL,
  item TEXT NOT NULL,
  quantity INTEGER NOT NULL,
  total_cents INTEGER NOT NULL,
  status TEXT NOT NULL
);
CREATE TABLE events (
  id INTEGER PRIMARY KEY,
  at TEXT NOT NULL,
  kind TEXT NOT NULL,
  detail TEXT NOT NULL
);
"""

FILL_ORDERS = (
    "INSERT INTO orders (customer, item, quantity, total_cents, status) VALUES (?, ?, ?, ?, ?)"
)

FILL_EVENTS = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
INSERT INTO events
SELECT i,
       strftime('%Y-%m-%dT%H:%M:%SZ', 1767225600 + i * 37, 'unixepoch'),
       CASE i % 3 WHEN 0 THEN 'viewed' WHEN 1 THEN 'ordered' ELSE 'shipped' END,
       printf('order %d from shelf %d', i % 9000, i % 71)
FROM n
"""


def create_shop(path: Path, *, events: int = EVENTS) -> None:
    """Create the database, whole or not at all, in under half a second."""
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with closing(sqlite3.connect(draft)) as connection, connection:
        connection.executescript(SCHEMA)
        connection.executemany(FILL_ORDERS, ORDERS)
        connection.execute(FILL_EVENTS, (events,))
    draft.rename(path)
