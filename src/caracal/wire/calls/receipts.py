"""Receipts, asked for by the reference that an answer named. The reference is all the proof needed."""

from typing import Final

from caracal.evidence.errors import EvidenceError
from caracal.evidence.receipts import Receipt, parse_receipt
from caracal.wire.calls.messages import Request, expect_yes, path
from caracal.wire.calls.refusals import Answer, UnexpectedAnswer

FETCH: Final = "fetch a receipt"


def receipt_request(audit_url: str, reference: str, *, witnessed: bool = False) -> Request:
    query = "?witnessed=true" if witnessed else ""
    url = audit_url + path("v1", "receipts", reference) + query
    return Request(FETCH, "GET", url, repeatable=True)


def read_receipt(answer: Answer) -> Receipt:
    """Read a receipt; it is not verified, `caracal.evidence.receipts` does that.

    Raises:
        CaracalError: it is a refusal, or no receipt.
    """
    expect_yes(answer, FETCH)
    try:
        return parse_receipt(answer.body.decode())
    except (EvidenceError, ValueError) as error:
        raise UnexpectedAnswer.to(FETCH, answer, str(error)) from None
