"""What a kill would end, worked out from what the Coordinator lists."""

from caracal_server.cli.graph_rows import DelegationRow, SessionRow, falling_with, subtree


def session(name: str, parent: str | None = None) -> SessionRow:
    return SessionRow(
        agent_session_id=name,
        application_id="a",
        parent_id=parent,
        lifecycle="task",
        labels=(),
        status="active",
        depth=0,
        ttl_seconds=60,
        started_at="2026-01-01T00:00:00Z",
    )


def delegation(name: str, source: str, target: str, parent: str | None = None) -> DelegationRow:
    return DelegationRow(
        id=name,
        source_session_id=source,
        target_session_id=target,
        issuer_application_id="a",
        receiver_application_id="a",
        parent_edge_id=parent,
        resource_id=None,
        scopes=(),
        status="active",
        created_at="2026-01-01T00:00:00Z",
        expires_at="2026-01-01T01:00:00Z",
    )


def test_a_subtree_is_the_session_and_all_below_it():
    rows = [session("c", "b"), session("a"), session("b", "a"), session("x"), session("y", "x")]
    assert [row.id for row in subtree(rows, "a")] == ["a", "b", "c"]
    assert [row.id for row in subtree(rows, "y")] == ["y"]
    assert subtree(rows, "gone") == []


def test_delegations_fall_with_either_end_and_with_what_they_were_narrowed_from():
    rows = [
        delegation("far", "q", "r", parent="near"),
        delegation("near", "p", "q", parent="out"),
        delegation("out", "a", "p"),
        delegation("in", "z", "a"),
        delegation("other", "z", "p"),
    ]
    assert {row.id for row in falling_with(rows, [session("a")])} == {"out", "in", "near", "far"}
    assert falling_with(rows, [session("nobody")]) == []
    assert falling_with(rows, []) == []
