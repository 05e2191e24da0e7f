"""Which kind of result an action returns, by its name; and the kinds that are no profile."""

from collections.abc import Callable
from typing import Any, Final

from app.simulator.results.draws import Draws, base36
from app.simulator.results.people import person
from app.simulator.results.vocabulary import (
    COMPANIES,
    EMOJI,
    INDUSTRIES,
    NAMES,
    PLACES,
    SCHOOLS,
    SENTENCES,
)

Json = dict[str, Any]


def company(draws: Draws) -> Json:
    """A company's page."""
    name, (place, country) = draws.pick(COMPANIES), draws.pick(PLACES)
    handle = f"company-{base36(draws.serial)}"
    return {
        "linkedin_company_id": draws.serial,
        "linkedin_company_handle": handle,
        "linkedin_company_url": f"https://www.linkedin.com/company/{handle}",
        "sales_navigator_company_url": f"https://www.linkedin.com/sales/company/{draws.serial}",
        "company_name": name,
        "tagline": draws.pick(SENTENCES) if draws.happens(0.7) else None,
        "description": " ".join(draws.several(SENTENCES, 2, 9)),
        "website": f"https://{handle}.example/?a=1&b=é" if draws.happens(0.9) else None,
        "industry": draws.pick(INDUSTRIES),
        "employees_count": draws.number(1, 250_000),
        "followers_count": draws.number(0, 2_000_000),
        "founded_year": draws.number(1850, 2024) if draws.happens(0.8) else None,
        "headquarters": {"city": place, "country_code": country},
        "locations": [
            {"city": city, "country_code": code} for city, code in draws.several(PLACES, 0, 4)
        ],
        "specialities": draws.several(SCHOOLS, 0, 5),
        "registration_number": f"{draws.number(1, 9_999_999):09}",
        "is_verified": draws.happens(0.5),
    }


def post(draws: Draws) -> Json:
    """A post, with who wrote it."""
    first_names, last_names = draws.pick(NAMES)
    url = f"https://www.linkedin.com/feed/update/urn:li:activity:{draws.serial}/"
    return {
        "linkedin_post_id": str(draws.serial),
        "linkedin_post_url": url,
        "text": "\n\n".join(draws.several(SENTENCES, 1, 8)) + draws.pick(EMOJI),
        "published_at": draws.moment(2022, 2025),
        "author": {
            "full_name": f"{draws.pick(first_names)} {draws.pick(last_names)}",
            "linkedin_profile_id": draws.number(1_000_000, 999_999_999),
        },
        "likes_count": draws.number(0, 20_000),
        "comments_count": draws.number(0, 900),
        "reposts_count": draws.number(0, 300),
        "hashtags": draws.several(("#hiring", "#日本", "#été", "#growth", "#שיווק"), 0, 3),
        "media": [{"type": "image", "url": f"{url}image.png"}] if draws.happens(0.3) else [],
        "is_repost": draws.happens(0.2),
        "original_post_url": None,
    }


def message(draws: Draws) -> Json:
    """A message of a conversation."""
    first_names, last_names = draws.pick(NAMES)
    return {
        "linkedin_thread_id": f"2-{base36(draws.serial // 7):0>16}==",
        "linkedin_message_id": f"msg-{draws.serial}",
        "text": " ".join(draws.several(SENTENCES, 1, 4)) + draws.pick(EMOJI),
        "sent_at": draws.moment(2023, 2025),
        "sender": {
            "full_name": f"{draws.pick(first_names)} {draws.pick(last_names)}",
            "linkedin_profile_id": draws.number(1_000_000, 999_999_999),
        },
        "is_read": draws.happens(0.7),
        "is_inmail": draws.happens(0.1),
        "attachments": [],
        "reactions": [{"emoji": "👍", "count": 1}] if draws.happens(0.2) else [],
        "subject": None,
    }


# The first line with a word of the action's name decides: `extract-company-employees` and
# `extract-post-likers` return people.
_KINDS: Final[tuple[tuple[Callable[[Draws], Json], tuple[str, ...]], ...]] = (
    (person, ("people", "profile", "connection", "employee", "liker", "commenter", "viewer")),
    (person, ("attendee", "member", "follower", "lead")),
    (message, ("message", "conversation", "inbox", "thread")),
    (post, ("post", "activit", "article", "comment")),
    (company, ("compan", "account")),
)


def kind_of(action_name: str) -> Callable[[Draws], Json]:
    """What makes one result of the action. Profiles, where the name tells nothing."""
    for make, words in _KINDS:
        if any(word in action_name for word in words):
            return make
    return person
