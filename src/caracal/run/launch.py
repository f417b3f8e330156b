"""A launch from beginning to end: session, proxy, program, and the end of all three in reverse."""

import asyncio
import base64
import contextlib
import os
import shutil
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import httpx

from caracal.run import programs
from caracal.run.child_environment import UrlVariable, child_environment
from caracal.run.confinement import hide
from caracal.run.exchange import Exchange
from caracal.run.options import Launch, LaunchProblem, Values, read_launch
from caracal.run.output import Outputs
from caracal.run.proxy import Proxy
from caracal.run.routes import USER, Directory, Route, route_name
from caracal.sdk import surroundings
from caracal.sdk.async_client import AsyncCaracal
from caracal.sdk.configuration import Configuration, InvalidConfiguration, prefix_problems
from caracal.sdk.profiles import read_environment, read_profile
from caracal.tokens.secret import Secret
from caracal.wire.calls.refusals import (
    CaracalError,
    CredentialsRefused,
    ServiceUnavailable,
    Unreachable,
    shown,
)
from caracal.wire.upstream_url import UpstreamUrl

REFUSED: Final = 1
USAGE: Final = 2
_CODES: Final = ((Unreachable, 3), (CredentialsRefused, 4), (ServiceUnavailable, 5))
NOT_RUNNABLE: Final = 126
NOT_FOUND: Final = 127
_KILLED: Final = 128
_CREDENTIAL_BYTES: Final = 24
_MAX_NOTES: Final = 100
_DRAIN_SECONDS: Final = 2.0


def main(values: Values, command: Sequence[str]) -> int:
    """Run a program as the options say; the exit code is the program's, once it has started."""
    notes = Notes(later=os.isatty(sys.stderr.fileno()))
    parent = surroundings.environment()
    try:
        launch = read_launch(values, command)
        configuration = read_profile(launch.profile) if launch.profile else read_environment(parent)
        named = tuple(dict.fromkeys((*configuration.resources, *launch.resources)))
        configuration = replace(configuration, resources=named)
        path = shutil.which(launch.command[0], path=parent.get("PATH"))
        if path is None:
            notes.add(f"there is no program {launch.command[0]!r}")
            return NOT_FOUND
        hide()
        return asyncio.run(Launcher(launch, configuration, parent, path, notes).run())
    except (LaunchProblem, InvalidConfiguration) as error:
        for problem in error.problems:
            notes.add(problem)
        return USAGE
    except CaracalError as error:
        notes.add(f"the program was not started: {error}")
        return next((code for kind, code in _CODES if isinstance(error, kind)), REFUSED)
    finally:
        notes.show()


@dataclass(slots=True)
class Notes:
    """Lines for whoever started the program, on stderr: at once, or after it when it has the terminal."""

    later: bool
    _kept: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        if len(self._kept) < _MAX_NOTES:
            self._kept.append(f"caracal: {shown(line)}\n")
        if not self.later:
            self.show()

    def show(self) -> None:
        kept, self._kept = self._kept, []
        with contextlib.suppress(OSError):
            sys.stderr.write("".join(kept))
            sys.stderr.flush()


@dataclass(slots=True)
class Launcher:
    """One launch."""

    launch: Launch
    configuration: Configuration
    parent: Mapping[str, str]
    path: str
    notes: Notes
    _program: programs.Program | None = None
    _code: int | None = None
    _interrupted: int | None = None

    async def run(self) -> int:
        """Govern the program until it ends.

        Raises:
            CaracalError: it was not started.
        """
        self._listen()
        try:
            await self._in_a_session()
        except asyncio.CancelledError:
            if self._interrupted is None:
                raise
            return _KILLED + self._interrupted
        except CaracalError as error:
            if self._code is None:
                raise
            self.notes.add(f"the session may live for two minutes more: {error}")
        return REFUSED if self._code is None else self._code

    async def _in_a_session(self) -> None:
        launch = self.launch
        file = launch.ca_file
        tls = None if file is None else ssl.create_default_context(cafile=file)
        async with (
            AsyncCaracal(self.configuration, tls=tls) as caracal,
            caracal.service(
                labels=launch.labels,
                metadata={"program": Path(self.path).name},
                when_lost=self._lost,
            ) as session,
        ):
            transports = {
                resource: caracal.transport(resource, scopes=scopes, labels=launch.labels)
                for resource, scopes in launch.resources.items()
            }
            for transport in transports.values():
                await transport.open()
            async with self._proxied(transports) as directory:
                self._code = await self._run_program(directory, session.id)

    @contextlib.asynccontextmanager
    async def _proxied(
        self, transports: Mapping[str, httpx.AsyncBaseTransport]
    ) -> AsyncIterator[Directory]:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            credential = Secret(surroundings.random_bytes(_CREDENTIAL_BYTES).hex())
            directory = Directory(
                tuple(self._routes()), listening.getsockname()[1], credential, self.launch.direct
            )
            async with httpx.AsyncHTTPTransport(trust_env=False) as direct:
                gateway = UpstreamUrl.parse(self.configuration.gateway_url)
                exchange = Exchange(gateway, transports, direct, self.notes.add)
                # Root starts programs of other users; who else does shares no run with them.
                proxy = Proxy(directory, exchange, os.geteuid() or None)
                server = await asyncio.start_server(proxy.serve, sock=listening)
                try:
                    yield directory
                finally:
                    server.close()
                    await proxy.end()

    def _routes(self) -> list[Route]:
        routes: list[Route] = []
        for resource in self.launch.resources:
            prefix = self.configuration.prefixes.get(resource)
            if prefix is None and not prefix_problems(resource, resource):
                prefix = resource
            name = route_name(resource, (route.name for route in routes))
            variables = tuple(
                each.variable for each in self.launch.mapped if each.resource == resource
            )
            url = None if prefix is None else UpstreamUrl.parse(prefix)
            routes.append(Route(name, resource, url, variables))
        return routes

    async def _run_program(self, directory: Directory, session: str) -> int:
        """Start it, and wait until it and all that it started have ended."""
        environment = self._environment(directory, session)
        outputs = Outputs.opened(_secrets(self.configuration.client_secret, directory.credential))
        try:
            pid = programs.start(self.path, self.launch.command, environment, outputs.given)
        except OSError as error:
            outputs.close()
            self.notes.add(f"{self.path} can not be run: {error.strerror}")
            return NOT_RUNNABLE
        outputs.begin()
        self._program = program = programs.Program(pid, programs.Terminal.found())
        program.attend()
        try:
            return await program.wait()
        finally:
            await program.end_the_rest()
            await asyncio.to_thread(outputs.drain, _DRAIN_SECONDS)

    def _environment(self, directory: Directory, session: str) -> dict[str, str]:
        launch, by_resource = self.launch, {route.resource: route for route in directory.routes}
        base_urls = [
            UrlVariable(each.variable, by_resource[each.resource], each.path)
            for each in launch.mapped
        ]
        return child_environment(
            self.parent, directory, base_urls, launch.keys, launch.passed_on, session
        )

    def _listen(self) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        for number in programs.FORWARDED:
            # What whoever started this has ignored, the program ignores as well.
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._signalled, number, task)

    def _signalled(self, number: int, task: asyncio.Task[int] | None) -> None:
        if self._program is not None:
            self._program.stop(number)
        elif self._interrupted is None and task is not None:
            self._interrupted = number
            task.cancel()

    def _lost(self, error: CaracalError) -> None:
        self.notes.add(f"the session has ended, and the program's calls are refused: {error}")


def _secrets(*secrets: Secret) -> list[bytes]:
    found = []
    for secret in secrets:
        text = secret.reveal().encode()
        found += [text, base64.b64encode(f"{USER}:".encode() + text)]
    return found
