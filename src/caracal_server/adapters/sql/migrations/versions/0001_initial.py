"""Zones, keys, operators, the graph and the evidence.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
PLACE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    create_zone()
    create_application()
    create_provider()
    create_resource()
    create_policy_version()
    create_signing_key()
    create_operator_token()
    create_session()
    create_delegation()
    create_revocation()
    create_graph_epoch()
    create_idempotency_receipt()
    create_evidence_log()
    create_evidence_entry()
    create_evidence_span()
    create_evidence_mention()
    create_evidence_checkpoint()


def create_zone() -> None:
    op.create_table(
        "zone",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("policy_digest", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="zone_pk"),
    )


def create_application() -> None:
    op.create_table(
        "application",
        sa.Column("id", ID, nullable=False),
        sa.Column("zone_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("secret_hash", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["zone_id"], ["zone.id"], name="application_zone_id_fk", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="application_pk"),
        sa.UniqueConstraint("zone_id", "name", name="application_zone_id_name_key"),
    )


def create_provider() -> None:
    op.create_table(
        "provider",
        sa.Column("id", ID, nullable=False),
        sa.Column("zone_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("header", sa.Text(), nullable=True),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("query_parameter", sa.Text(), nullable=True),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("allowed_hosts", sa.Text(), nullable=False),
        sa.Column("forward_identity", sa.Boolean(), nullable=False),
        sa.Column("sealed_credential", sa.LargeBinary(), nullable=True),
        sa.Column("credential_fingerprint", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["zone_id"], ["zone.id"], name="provider_zone_id_fk", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="provider_pk"),
        sa.UniqueConstraint("zone_id", "name", name="provider_zone_id_name_key"),
    )


def create_resource() -> None:
    op.create_table(
        "resource",
        sa.Column("id", ID, nullable=False),
        sa.Column("zone_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("upstream_url", sa.Text(), nullable=False),
        sa.Column("provider_id", ID, nullable=True),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("operations", sa.Text(), nullable=False),
        sa.Column("enforcement", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["provider_id"], ["provider.id"], name="resource_provider_id_fk"),
        sa.ForeignKeyConstraint(
            ["zone_id"], ["zone.id"], name="resource_zone_id_fk", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="resource_pk"),
        sa.UniqueConstraint("zone_id", "identifier", name="resource_zone_id_identifier_key"),
    )


def create_policy_version() -> None:
    op.create_table(
        "policy_version",
        sa.Column("zone_id", ID, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["zone_id"], ["zone.id"], name="policy_version_zone_id_fk"),
        sa.PrimaryKeyConstraint("zone_id", "digest", name="policy_version_pk"),
    )


def create_signing_key() -> None:
    op.create_table(
        "signing_key",
        sa.Column("kid", ID, nullable=False),
        sa.Column("zone_id", ID, nullable=False),
        sa.Column("sealed_private", sa.LargeBinary(), nullable=False),
        sa.Column("public_jwk", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kid", name="signing_key_pk"),
    )


def create_operator_token() -> None:
    op.create_table(
        "operator_token",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_sha256", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="operator_token_pk"),
        sa.UniqueConstraint("token_sha256", name="operator_token_token_sha256_key"),
    )


def create_session() -> None:
    op.create_table(
        "session",
        sa.Column("id", ID, nullable=False),
        sa.Column("zone_id", ID, nullable=False),
        sa.Column("application_id", ID, nullable=False),
        sa.Column("parent_id", ID, nullable=True),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("lifecycle", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ttl", sa.BigInteger(), nullable=True),
        sa.Column("lease_expires_at", sa.BigInteger(), nullable=True),
        sa.Column("lease_generation", sa.Integer(), nullable=False),
        sa.Column("last_heartbeat_at", sa.BigInteger(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("health", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="session_pk"),
        sqlite_with_rowid=False,
    )
    op.create_index("session_application", "session", ["application_id", "id"])
    op.create_index(
        "session_live",
        "session",
        ["zone_id"],
        sqlite_where=sa.text("status IN ('active', 'suspended')"),
        postgresql_where=sa.text("status IN ('active', 'suspended')"),
    )
    op.create_index(
        "session_parent",
        "session",
        ["parent_id", "id"],
        sqlite_where=sa.text("parent_id IS NOT NULL"),
        postgresql_where=sa.text("parent_id IS NOT NULL"),
    )
    op.create_index("session_zone", "session", ["zone_id", "id"])


def create_delegation() -> None:
    op.create_table(
        "delegation",
        sa.Column("id", ID, nullable=False),
        sa.Column("zone_id", ID, nullable=False),
        sa.Column("source", ID, nullable=False),
        sa.Column("target", ID, nullable=False),
        sa.Column("issuer", ID, nullable=False),
        sa.Column("receiver", ID, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("resources", sa.Text(), nullable=True),
        sa.Column("hops", sa.Integer(), nullable=False),
        sa.Column("max_ttl", sa.BigInteger(), nullable=True),
        sa.Column("budget", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="delegation_pk"),
        sqlite_with_rowid=False,
    )
    op.create_index("delegation_expiry", "delegation", ["zone_id", "expires_at"])
    op.create_index("delegation_source", "delegation", ["source", "id"])
    op.create_index("delegation_target", "delegation", ["target", "id"])
    op.create_index("delegation_zone", "delegation", ["zone_id", "id"])


def create_revocation() -> None:
    op.create_table(
        "revocation",
        sa.Column("zone_id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("anchor", ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("zone_id", "kind", "anchor", name="revocation_pk"),
        sqlite_with_rowid=False,
    )
    op.create_index("revocation_at", "revocation", ["at"])


def create_graph_epoch() -> None:
    op.create_table(
        "graph_epoch",
        sa.Column("zone_id", ID, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("zone_id", name="graph_epoch_pk"),
        sqlite_with_rowid=False,
    )


def create_idempotency_receipt() -> None:
    op.create_table(
        "idempotency_receipt",
        sa.Column("zone_id", ID, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("key_digest", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("result_id", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "zone_id", "scope", "operation", "key_digest", name="idempotency_receipt_pk"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("idempotency_receipt_expiry", "idempotency_receipt", ["expires_at"])


def create_evidence_log() -> None:
    op.create_table(
        "evidence_log",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("zone_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("id", name="evidence_log_pk"),
        sa.UniqueConstraint("zone_id", name="evidence_log_zone_id_key"),
    )


def create_evidence_entry() -> None:
    op.create_table(
        "evidence_entry",
        sa.Column("place", PLACE, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("application", sa.Text(), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("place", name="evidence_entry_pk"),
    )


def create_evidence_span() -> None:
    op.create_table(
        "evidence_span",
        sa.Column("span", PLACE, autoincrement=False, nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("span", name="evidence_span_pk"),
    )


def create_evidence_mention() -> None:
    op.create_table(
        "evidence_mention",
        sa.Column("span", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", ID, nullable=False),
        sa.PrimaryKeyConstraint("span", "value", name="evidence_mention_pk"),
        sqlite_with_rowid=False,
    )


def create_evidence_checkpoint() -> None:
    op.create_table(
        "evidence_checkpoint",
        sa.Column("log_id", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["log_id"], ["evidence_log.id"], name="evidence_checkpoint_log_id_fk"
        ),
        sa.PrimaryKeyConstraint("log_id", "size", name="evidence_checkpoint_pk"),
        sqlite_with_rowid=False,
    )
