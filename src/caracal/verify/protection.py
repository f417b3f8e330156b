"""What both adapters share: the table of routes, the metadata, and what a request is held to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar, Unpack

from caracal.verify.challenges import Answer, ProtectedResource, answer, described
from caracal.verify.refusals import NotVerified
from caracal.verify.requirements import Expected, Requirements, Settings
from caracal.verify.routes import Public, Routes, below, proven


class Tightens(Protocol):
    """A verifier, as far as routes need one."""

    @property
    def expected(self) -> Expected: ...

    @property
    def requirements(self) -> Requirements: ...

    def require(self, **settings: Unpack[Settings]) -> Self: ...


V = TypeVar("V", bound=Tightens)


@dataclass(frozen=True, slots=True)
class Protection(Generic[V]):
    """Which verifier a path has, and how a refusal is answered."""

    table: Routes[V]
    resource: ProtectedResource | None

    @classmethod
    def of(
        cls,
        verifier: V,
        routes: Mapping[str, Settings],
        public: Iterable[str],
        resource_url: str | None,
    ) -> "Protection[V]":
        """Read settings.

        Raises:
            TypeError, ValueError: as `Verifier` and `Routes`.
        """
        verifiers = {prefix: verifier.require(**settings) for prefix, settings in routes.items()}
        scopes = {
            scope
            for each in (verifier, *verifiers.values())
            for scope in each.requirements.scopes.scopes
        }
        expected = verifier.expected
        resource = described(expected.audience, expected.issuer, resource_url, scopes)
        return cls(Routes(verifier, verifiers, public), resource)

    def metadata(self, method: str, path: str) -> Answer | None:
        """The answer to a request for the metadata, if it is one."""
        if self.resource is None or path != self.resource.metadata_path:
            return None
        return self.resource.document(method)

    def verifier(self, path: str, raw: bytes | None, root: str) -> V | Public:
        """Who judges a request.

        Raises:
            NotVerified: the path can be read in more than one way.
        """
        proven(path, raw)
        return self.table.at(below(root, path))

    def refusal(self, refused: NotVerified, verifier: V | Public | None) -> Answer:
        if verifier is None or isinstance(verifier, Public):
            return answer(refused, self.resource)
        return answer(refused, self.resource, verifier.requirements.scopes.scopes)
