"""Runs a slow portal in its own process: it is silent, or sends single bytes."""

from __future__ import annotations

import asyncio
import threading
from multiprocessing.connection import Connection

from bench.processes import handle_one

DRIP_SECONDS = 1.0


class Slow:
    """The methods that the parent process may call."""

    def __init__(self) -> None:
        self.seconds = 12.0  # after which the connection of a request ends
        self.drips = False
        self.under_way = self.most = 0
        self.bound = 0

    def port(self) -> int:
        return self.bound

    def behave(self, seconds: float, drips: bool) -> None:
        self.seconds, self.drips, self.most = seconds, drips, 0

    def most_at_once(self) -> int:
        return self.most

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await reader.readuntil(b"\r\n\r\n")
            if self.drips:
                writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while True:
                    writer.write(b"y")
                    await writer.drain()
                    await asyncio.sleep(DRIP_SECONDS)
            await asyncio.sleep(self.seconds)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the app has closed the connection
        finally:
            self.under_way -= 1
            writer.close()


def serve(pipe: Connection, address: str) -> None:
    asyncio.run(_serve(pipe, address))


async def _serve(pipe: Connection, address: str) -> None:
    served = Slow()
    server = await asyncio.start_server(served.answer, address, 0, backlog=1024)
    served.bound = server.sockets[0].getsockname()[1]
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask() -> None:
        while handle_one(pipe, served):
            pass
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=ask, daemon=True).start()
    await ended.wait()
