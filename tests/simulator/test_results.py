"""Results look like those of the actions, and are made fast."""

from time import process_time

import orjson
import pytest

from app.simulator.results.draws import Draws
from app.simulator.results.kinds import company, kind_of, message, post
from app.simulator.results.people import person


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("linkedin-extract-people", person),
        ("linkedin-search-people", person),
        ("linkedin-extract-connections", person),
        ("linkedin-extract-company-employees", person),
        ("linkedin-extract-post-likers", person),
        ("linkedin-extract-profile-viewers", person),
        ("something-else", person),
        ("linkedin-extract-company", company),
        ("salesnavigator-search-accounts", company),
        ("linkedin-extract-posts", post),
        ("linkedin-extract-messages", message),
    ],
)
def test_the_action_decides_the_kind(action: str, kind: object) -> None:
    assert kind_of(action) is kind


def test_profiles_have_the_documented_fields_at_a_realistic_size() -> None:
    profiles = [person(Draws(1, index, 0)) for index in range(500)]
    assert {
        *("linkedin_profile_id", "sales_navigator_profile_id", "linkedin_profile_handle"),
        *("linkedin_profile_url", "full_name", "first_name", "last_name", "headline", "location"),
        *("job_title", "company_name", "linkedin_company_id", "linkedin_company_url"),
        *("connection_degree", "experiences", "education", "skills", "languages"),
    } <= set(profiles[0])
    assert {len(profile) for profile in profiles} == {len(profiles[0])}
    assert 20 <= len(profiles[0]) <= 40
    average = sum(len(orjson.dumps(profile)) for profile in profiles) / 500
    assert 1_500 < average < 3_000
    assert max(len(profile["about"] or "") for profile in profiles) > 1_000
    assert all(
        profile["external_ref"].isdigit() and len(profile["external_ref"]) == 10
        for profile in profiles
    )


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (person, "linkedin_profile_id"),
        (company, "linkedin_company_id"),
        (post, "linkedin_post_id"),
        (message, "linkedin_message_id"),
    ],
)
def test_no_two_entities_share_an_id(kind: type, key: str) -> None:
    ids = {kind(Draws(1, index, entity))[key] for index in range(200) for entity in range(20)}
    assert len(ids) == 4_000


def test_a_result_comes_from_seed_and_place() -> None:
    assert person(Draws(1, 2, 3)) == person(Draws(1, 2, 3))
    others = [person(Draws(*at)) for at in ((2, 2, 3), (1, 3, 3), (1, 2, 4))]
    assert all(other != person(Draws(1, 2, 3)) for other in others)


def test_five_thousand_are_made_in_a_second() -> None:
    started = process_time()
    for index in range(2_500):
        orjson.dumps(person(Draws(1, index, 0)))
    assert process_time() - started < 0.5
