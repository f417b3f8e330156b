"""A request that is to be sent, and the answer that came; both as values."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeVar
from urllib.parse import quote

import msgspec

from caracal.tokens.secret import Secret
from caracal.wire.calls.refusals import Answer, UnexpectedAnswer, read_refusal
from caracal.wire.json_bodies import explain

Shape = TypeVar("Shape")
Header = tuple[str, str]

JSON: Header = ("content-type", "application/json")


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be sent, ready as it stands; its repr says what it is for and nothing else of it.

    Attributes:
        what: for people: what it asks for, as in "could not ...".
        repeatable: sending it again acts once, even when it is not known whether it arrived.
    """

    what: str
    method: str
    url: str = field(repr=False)
    headers: tuple[Header, ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    repeatable: bool = False

    def carrying(self, headers: Iterable[Header]) -> "Request":
        """The same with these headers added."""
        return replace(self, headers=(*self.headers, *headers))


def bearer(token: Secret) -> Header:
    return ("authorization", f"Bearer {token.reveal()}")


def json_body(members: dict[str, object]) -> bytes:
    """The members that are not `None`, in the order given."""
    return msgspec.json.encode(
        {name: value for name, value in members.items() if value is not None}
    )


def path(*parts: str) -> str:
    """Parts of a path, each escaped whole: no part can become two."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def read(answer: Answer, what: str, shape: type[Shape]) -> Shape:
    """The body of an answer that says yes, as `shape`; members that it does not have are ignored.

    Raises:
        CaracalError: the answer is a refusal, or not what Caracal answers.
    """
    expect_yes(answer, what)
    try:
        return msgspec.json.decode(answer.body, type=shape)
    except msgspec.ValidationError as error:
        member, problem = explain(error)
        raise UnexpectedAnswer.to(what, answer, f"{member}: {problem}") from None
    except (ValueError, RecursionError):
        raise UnexpectedAnswer.to(what, answer, "the body is not JSON") from None


def expect_yes(answer: Answer, what: str) -> None:
    """Raise what the answer says when its status is not 2xx.

    Raises:
        CaracalError: always then; a redirect is not followed.
    """
    if not 200 <= answer.status < 300:  # noqa: PLR2004 - RFC 9110 section 15.3
        raise read_refusal(answer, what)
