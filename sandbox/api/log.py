"""Defines the log entry of a call, for tests and for the demo."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LoggedCall:
    """One HTTP request to a REST address or to the OAuth server, without tokens and values."""

    method: str  # the REST method in lower case, "batch" or "oauth.token"
    host: str
    user_id: int | None  # None: the credentials belong to no user
    client_id: str  # empty for a webhook
    member_id: str
    connection: str
    status: int  # 0: the connection was cut, or the client had gone
    at: float  # seconds by the sandbox's clock
    batch: tuple[str, ...] = ()  # methods of the commands, in order
    params: tuple[str, ...] = ()  # names of the parameters
    token_in: tuple[str, ...] = ()  # "header", "query", "body": every place that held a token
    error: str | int | None = None  # the code of an error reply
    faults: tuple[str, ...] = ()  # kinds of the faults that hit this request

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods called: those of a batch's commands, else the method itself."""
        return self.batch if self.method == "batch" else (self.method,)
