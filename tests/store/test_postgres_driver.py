"""The connection of a process that does one thing after another."""

import pytest

from app.store.postgres.driver import BlockingConnection
from app.store.protocol import StoreUnavailableError
from tests.databases import fresh_postgres


def lost_midway(connection: BlockingConnection, statements_after: int) -> None:
    with connection.transaction():
        connection.execute("INSERT INTO kept VALUES (1)")
        assert connection._connection is not None
        connection._connection.terminate()
        for number in range(statements_after):
            connection.execute("INSERT INTO kept VALUES ($1)", number)


@pytest.mark.parametrize("statements_after", [0, 1])
def test_a_transaction_does_not_go_on_over_another_connection(statements_after: int) -> None:
    with fresh_postgres() as url:
        connection = BlockingConnection(url)
        connection.execute("CREATE TABLE kept (number integer)")
        with pytest.raises(StoreUnavailableError, match="lost within a transaction"):
            lost_midway(connection, statements_after)
        assert connection.fetch("SELECT * FROM kept") == []  # which connects anew
        connection.close()
