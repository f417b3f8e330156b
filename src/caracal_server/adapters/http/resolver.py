"""Name resolution by the operating system."""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

from caracal_server.ports.upstream import IPAddress


class SystemResolver:
    """Asks `getaddrinfo`, on threads of its own so that a slow server starves nobody else."""

    def __init__(self, *, threads: int = 4) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolver")

    async def resolve(self, host: str, port: int) -> Sequence[IPAddress]:
        """Return the addresses of `host` in the order the system prefers.

        Raises:
            OSError: the name does not resolve.
        """
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(self._threads, _look_up, host, port)
        except UnicodeError as error:
            raise OSError(f"{host!r} is not a host name") from error
        return [ip_address(answer) for answer in dict.fromkeys(answers)]

    def close(self) -> None:
        """Let the threads go; look-ups under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for _, _, _, _, sockaddr in found]
