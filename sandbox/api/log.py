"""What the sandbox remembers of each call, for tests and for the demo."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LoggedCall:
    """One HTTP request to a REST address or to the OAuth server; never a token, never a value."""

    method: str  # the REST method in lower case, "batch" or "oauth.token"
    host: str
    user_id: int | None  # None: the credentials named nobody
    client_id: str  # empty for a webhook
    member_id: str
    connection: str
    status: int  # 0: the connection was cut, or the client had gone
    at: float  # by the sandbox's clock
    batch: tuple[str, ...] = ()  # methods of the commands, in their order
    params: tuple[str, ...] = ()  # names of the parameters
    token_in: tuple[str, ...] = ()  # "header", "query", "body": every place that held a token
    error: str | int | None = None  # the code of the answer, where it was an error
    faults: tuple[str, ...] = ()  # kinds of the faults that struck

    @property
    def methods(self) -> tuple[str, ...]:
        """What the request asked for: the commands of a batch, else the method itself."""
        return self.batch if self.method == "batch" else (self.method,)
