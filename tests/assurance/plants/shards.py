from tests.assurance.planting import edited

ANCHORING = "src/caracal_server/audit/anchoring.py"

PLANTS = {
    "only_what_continues_is_vouched_for": (
        edited(
            "no_proof_is_asked_for",
            ANCHORING,
            "            verify_consistency(proof, before.root, checkpoint.root)\n",
            "            del proof\n",
        ),
        edited(
            "any_name_will_do",
            ANCHORING,
            "if not keys or any(key.name != origin for key in keys):",
            "if not keys:",
        ),
    ),
    "rewritten_shards_are_found_from_outside": edited(
        "no_shard_is_rewritten",
        "tests/apart/test_shards_record_what_audit_vouches_for.py",
        "def test_a_shard_whose_history",
        "def a_shard_whose_history",
    ),
}
