"""Clients of MCP servers: their keys, where browsers are sent back to, and where people sign in.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("application", sa.Column("public_keys", sa.Text()))
    op.add_column("application", sa.Column("redirect_uris", sa.Text()))
    op.add_column("application", sa.Column("metadata_hosts", sa.Text()))
    op.add_column("application", sa.Column("takes_registrations", sa.Boolean()))
    op.add_column("subject_issuer", sa.Column("authorization_url", sa.Text()))
    op.add_column("subject_issuer", sa.Column("token_url", sa.Text()))
