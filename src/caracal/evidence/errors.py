"""What this package raises when something offered as evidence is not."""


class EvidenceError(Exception):
    """A proof, checkpoint, key or bundle is malformed or does not verify."""


class BundleError(EvidenceError):
    """An exported bundle does not verify.

    Attributes:
        reason: what is wrong, in words.
        line: the line of the bundle it was found at, counted from 1; None when the
            bundle as a whole is at fault.
        index: the log index of the entry at fault; None when no entry can be named.
    """

    def __init__(self, reason: str, *, line: int | None = None, index: int | None = None) -> None:
        self.reason = reason
        self.line = line
        self.index = index
        places = [] if index is None else [f"entry {index}"]
        if line is not None:
            places.append(f"line {line}")
        super().__init__(": ".join([", ".join(places), reason]) if places else reason)
