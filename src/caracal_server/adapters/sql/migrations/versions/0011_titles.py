"""What people call zones, applications and providers, and since when a zone is put away.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("zone", sa.Column("title", sa.Text()))
    op.add_column("zone", sa.Column("archived_at", sa.BigInteger()))
    op.add_column("application", sa.Column("title", sa.Text()))
    op.add_column("provider", sa.Column("title", sa.Text()))
