"""`/api/v1/ingest`: where callbacks go and what they carry, to be given to Edges."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from app.api.pages import answer
from app.api.parameters import Parameters
from app.api.resources import Resources, resources_of


async def get_ingest(request: Request) -> Response:
    """The URL for `callback.url`, and why Edges may not reach it."""
    Parameters(request, ())
    resources = resources_of(request)
    return answer(
        {
            "url": f"{resources.base_url}/callbacks",
            "header": "Authorization: Bearer",
            "problem": _problem(resources),
            "edges_base_url": str(resources.settings.edges_base_url).rstrip("/"),
            "edges_key_is_set": resources.settings.edges_api_key is not None,
        }
    )


async def show_token(request: Request) -> Response:
    """The ingest token. A POST, so that no cookie alone opens it."""
    Parameters(request, ())
    return answer(
        {"token": resources_of(request).ingest_token}, headers={"Cache-Control": "no-store"}
    )


def _problem(resources: Resources) -> str | None:
    host = urlsplit(resources.base_url).hostname or ""
    if not _is_inside(host):
        return None
    cause = (
        "COLLECTOR_PUBLIC_URL is not set"
        if resources.settings.public_url is None
        else "so says COLLECTOR_PUBLIC_URL"
    )
    return (
        f"Edges cannot reach {host}, an address of this machine or network alone ({cause}). Set"
        " COLLECTOR_PUBLIC_URL to the https:// address by which the internet reaches this"
        " collector, and start it again."
    )


def _is_inside(host: str) -> bool:
    """Whether it names this machine or its network, as far as the name alone says."""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal", ".lan"))
