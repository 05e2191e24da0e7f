"""A plain TCP proxy: balances over several backends, and cuts connections when told to."""

import itertools
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress

_CHUNK_BYTES = 65_536


class TcpProxy:
    """Listens on a port of 127.0.0.1 and passes each connection on to the next live backend."""

    def __init__(self, backends: Sequence[int]) -> None:
        """`backends` are ports of 127.0.0.1."""
        self._backends = list(backends)
        self._turn = itertools.count()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.cut_next_answers = False
        """Pass requests on, and in place of the next answer cut the connection."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening, and cut what is open."""
        self._listener.close()
        self.cut()

    def replace_backend(self, place: int, port: int) -> None:
        """From now on pass connections on to `port` in place of what was there."""
        self._backends[place] = port

    def cut(self) -> None:
        """Cut every open connection."""
        with self._lock:
            connections, self._open = self._open, set()
        for connection in connections:
            _reset(connection)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            backend = self._connected()
            if backend is None:
                _reset(client)
                continue
            with self._lock:
                self._open |= {client, backend}
            for source, target in ((client, backend), (backend, client)):
                threading.Thread(
                    target=self._pump, args=(source, target, source is backend), daemon=True
                ).start()

    def _connected(self) -> socket.socket | None:
        for _ in self._backends:
            port = self._backends[next(self._turn) % len(self._backends)]
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=30)
            except OSError:
                continue
        return None

    def _pump(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        try:
            source.settimeout(None)
            while data := source.recv(_CHUNK_BYTES):
                if is_answer and self.cut_next_answers:
                    self.cut_next_answers = False
                    break
                target.sendall(data)
        except OSError:
            pass  # the other direction, or the test, has cut it
        for one in (source, target):
            with self._lock:
                self._open.discard(one)
            _reset(one)


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):  # it was closed already
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
