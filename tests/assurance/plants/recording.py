from tests.assurance.planting import edited

PLANTS = {
    "what_can_not_be_recorded_does_not_happen": (
        edited(
            "callers_are_told_before_it_is_stored",
            "src/caracal_server/audit/sequencer.py",
            "                await self._store.commit([plan.batch for plan in plans])\n"
            "                self._accept(plans)\n",
            "                self._accept(plans)\n"
            "                await self._store.commit([plan.batch for plan in plans])\n",
        ),
        edited(
            "calls_pass_without_a_record",
            "src/caracal_server/gateway/enforcement.py",
            "            self._results.record(entry, Refused(_reason(fault), "
            '"nothing was sent"))\n            raise\n',
            "            self._results.record(entry, Refused(_reason(fault), "
            '"nothing was sent"))\n            return ""\n',
        ),
    ),
    "stores_fail_in_every_way": edited(
        "no_disk_is_ever_full",
        "tests/adversarial/test_t11_evidence_can_not_be_written.py",
        "def test_nothing_is_decided",
        "@pytest.mark.skip\ndef test_nothing_is_decided",
    ),
}
