"""What mattered to a decision, and what would have allowed it, in sentences for operators."""

from collections.abc import Mapping

from caracal.authority.events import Entry
from caracal.authority.policy.remedy import explain_policy


def tell_remedy(entry: Entry, texts: Mapping[str, str]) -> list[str]:
    """The lines for one decision; none where the text of its policy is not at hand.

    Args:
        entry: of the decision.
        texts: of policy versions, by digest.
    """
    if entry.policy and entry.policy not in texts:
        return []
    found = explain_policy(entry, texts.get(entry.policy))
    lines = []
    if found.values:
        lines.append(f"Policy read: {'; '.join(found.values)}.")
    if entry.held:
        lines.append(f"Held: {entry.held}; asked for: {entry.scopes}.")
    if found.change:
        lines.append(f"Smallest change that would have allowed it: {found.change}.")
        lines += (f"  {line}" for line in found.permits.splitlines())
    return lines
