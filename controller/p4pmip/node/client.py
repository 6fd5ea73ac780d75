"""The admin API of a running node, from another process."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from p4pmip.errors import P4pmipError
from p4pmip.node.values import tcp_address
from p4pmip.p4runtime.desired import UnixConnection

Json = dict[str, Any]

SECONDS = 30.0
"""For which an answer is waited for."""


class NodeClient:
    """Asks one node; `where` is its Unix socket, or ADDRESS:PORT.

    Every method raises P4pmipError if there is no answer, or a refusal.
    """

    def __init__(self, where: str, seconds: float = SECONDS) -> None:
        self.where = where
        self._seconds = seconds

    @classmethod
    def find(cls, where: str | None, seconds: float = SECONDS) -> "NodeClient":
        """The node that was named, or the only one whose socket is in this directory."""
        if where is not None:
            return cls(where, seconds)
        sockets = sorted(str(path) for path in Path().glob("*.sock") if path.is_socket())
        if len(sockets) != 1:
            what = "no node's socket is in this directory" if not sockets else "several nodes' sockets are here"
            raise P4pmipError("--node", None, f"{what}: say which", sockets)
        return cls(sockets[0], seconds)

    def get(self, path: str) -> Json:
        """The JSON document at a path."""
        return self._ask("GET", path, None)

    def post(self, path: str, **body: Any) -> Json:
        """Ask for something to be done."""
        return self._ask("POST", path, body)

    def events(self, after: int | None = None) -> Iterator[Json]:
        """Events as they happen, for ever; first those after number `after` that the node still knows."""
        connection = self._connection(None)
        try:
            query = "" if after is None else f"?after={after}"
            response = self._request(connection, "GET", f"/events{query}", None)
            if response.status != 200:
                raise self._refusal(response.status, response.read())
            for line in response:
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])
        except (OSError, HTTPException) as error:
            raise self._silence(error) from None
        finally:
            connection.close()

    def _ask(self, method: str, path: str, body: Json | None) -> Json:
        connection = self._connection(self._seconds)
        try:
            response = self._request(connection, method, path, body)
            octets = response.read()
        except (OSError, HTTPException) as error:
            raise self._silence(error) from None
        finally:
            connection.close()
        if response.status != 200:
            raise self._refusal(response.status, octets)
        try:
            document = json.loads(octets)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise P4pmipError("--node", self.where, "does not answer with JSON")
        return document

    def _connection(self, seconds: float | None) -> HTTPConnection:
        address = tcp_address(self.where)
        if address is not None:
            return HTTPConnection(*address, timeout=seconds)
        return UnixConnection(Path(self.where), seconds)

    @staticmethod
    def _request(connection: HTTPConnection, method: str, path: str, body: Json | None) -> HTTPResponse:
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        return connection.getresponse()

    def _silence(self, error: Exception) -> P4pmipError:
        return P4pmipError("--node", self.where, f"no node answers ({error})")

    def _refusal(self, status: int, octets: bytes) -> P4pmipError:
        try:
            told = json.loads(octets)
            return P4pmipError(told["place"], told["value"], told["error"], told["choices"])
        except (ValueError, KeyError, TypeError):
            return P4pmipError("--node", self.where, f"answers with status {status}")
