"""One delivery by the channel of its endpoint."""

from collections.abc import Sequence

import pytest

from app.event import TEST, Event
from app.export.stream import OrderChangedError
from app.notify.addressing import Addressing
from app.notify.composing import Composing, ResultsOf
from app.notify.endpoint import EndpointConfig, EndpointSecrets
from app.notify.links import LinkSigner
from app.notify.sealing import Seal
from app.notify.sending import Sending, sealed_secrets
from app.notify.signing import new_secret
from app.notify.webhook import WebhookClient
from app.record import Record
from app.store.outbox_rows import DueDelivery, EndpointRow

SEAL = Seal("a-key")
EVENT = Event("evt_1", "run.completed", "a-run", "a-run", 1, None, None, '{"run_uid":"a-run"}')


def endpoint(**config: str) -> EndpointRow:
    secrets = EndpointSecrets(secret=new_secret("v1"))
    made = EndpointConfig.model_validate(
        {"url": "http://127.0.0.1:9/", "event_types": ["*"], **config}
    )
    return EndpointRow(
        "ep", "active", None, made.model_dump_json(), sealed_secrets(SEAL, "ep", secrets),
        1, 0, 0, None, None,
    )  # fmt: skip


def delivery(kind: str, event: Event | None) -> DueDelivery:
    return DueDelivery("d", "a-run", "evt_1", 1, kind, 0, 0, 0, event)


def sending(webhooks: WebhookClient, results_of: ResultsOf) -> Sending:
    async def has_input(*_: object) -> bool:
        return False

    composing = Composing(
        Addressing(has_input),
        links=LinkSigner("a-key"),
        mailer=None,
        base_url="http://collector",
        results_of=results_of,
    )
    return Sending(composing, seal=SEAL, webhooks=webhooks, mailer=None, command=None)


async def order_changed(run_uid: str, bytes_max: int) -> Sequence[Record] | None:
    raise OrderChangedError(run_uid)


@pytest.mark.anyio
async def test_whatever_fails_while_it_is_composed_is_a_try_that_failed() -> None:
    webhooks = WebhookClient(allow_private=True, timeout_s=60)
    row = endpoint(payload="results-inline")
    attempt = await sending(webhooks, order_changed).send(row, delivery(EVENT.type, EVENT))
    await webhooks.close()
    assert not attempt.is_delivered
    assert "OrderChangedError" in str(attempt.problem)


async def none_of(run_uid: str, bytes_max: int) -> Sequence[Record] | None:
    return []


@pytest.mark.anyio
async def test_a_test_is_sent_without_an_event_and_nothing_else_is() -> None:
    webhooks = WebhookClient(allow_private=True, timeout_s=60)
    attempts = [
        await sending(webhooks, none_of).send(endpoint(), delivery(kind, None))
        for kind in (TEST, "run.completed")
    ]
    await webhooks.close()
    assert "refuses connections" in str(attempts[0].problem)
    assert "kept no more" in str(attempts[1].problem)
