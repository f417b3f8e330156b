"""The secret before, where a renewed one overlaps with it.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("application", sa.Column("retiring_secret_hash", sa.Text()))
    op.add_column("application", sa.Column("retiring_secret_until", sa.BigInteger()))
