"""What results are told apart by."""

from typing import Any

import pytest

from app.export.keys import COMPANY, MESSAGE, POST, PROFILE, auto_key, key_fields, key_text
from tests.export.test_csv_writer import result

PERSON = {"linkedin_profile_id": 1, "sales_navigator_profile_id": "A", "linkedin_company_id": 9}


def key(action: str | None, data: Any) -> bytes | None:
    return auto_key(action)(result(data))


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("linkedin-extract-people", PROFILE),
        ("linkedin-extract-company-employees", PROFILE),
        ("linkedin-extract-post-likers", PROFILE),
        ("salesnavigator-search-leads", PROFILE),
        ("linkedin-extract-profile-viewers", PROFILE),
        ("linkedin-extract-company", COMPANY),
        ("linkedin-search-companies", COMPANY),
        ("linkedin-extract-profile-posts", POST),
        ("linkedin-extract-messages", MESSAGE),
        ("linkedin-extract-people-search-v2", PROFILE),
        ("something-else", MESSAGE),
        (None, MESSAGE),
    ],
)
def test_the_action_says_what_it_returns(action: str | None, fields: tuple[str, ...]) -> None:
    assert tuple(key_fields(action))[: len(fields)] == fields


def test_the_first_id_that_a_result_has_is_its_key() -> None:
    people = "linkedin-extract-people"
    later = PERSON | {"linkedin_company_id": 10, "sales_navigator_profile_id": None}
    assert key(people, PERSON) == key(people, later) == key(None, PERSON)
    assert key(people, {"sales_navigator_profile_id": "A"}) != key(people, PERSON)
    assert key(people, {"full_name": "Zoë", "linkedin_profile_handle": "zoe"}) is None
    assert key(people, None) is key(people, [PERSON]) is None
    message = {"linkedin_thread_id": "t", "linkedin_profile_id": 1}
    assert key(None, message) == key("linkedin-extract-messages", {"linkedin_thread_id": "t"})
    assert key(None, message | {"linkedin_message_id": "m"}) != key(None, message)
    post = {"linkedin_post_url": "https://…/1", "linkedin_profile_id": 1}
    assert key("linkedin-extract-posts", post) == key(None, post)
    assert key("linkedin-extract-posts", post) != key("linkedin-extract-post-likers", post)


def test_ids_of_different_kinds_are_never_the_same() -> None:
    names = (*MESSAGE, *POST, *PROFILE, *COMPANY)
    keys = {key(None, {name: 5}) for name in names}
    assert len(keys) == len(names)
    assert None not in keys


def test_comments_are_not_the_posts_that_they_are_on() -> None:
    comments = "linkedin-extract-post-comments"
    data = {"linkedin_post_id": "1", "linkedin_profile_id": 2}
    assert key(comments, data) is None
    assert key(comments, data | {"linkedin_comment_id": "7"}) is not None


def test_a_number_is_the_same_id_as_its_text() -> None:
    assert key_text(5) == key_text("5")
    assert key_text(10**30) == key_text(str(10**30))
    assert key_text("05") != key_text(5)
    assert key_text(["5"]) != key_text('["5"]')
    assert key_text({"a": 1, "b": 2}) == key_text({"b": 2, "a": 1})
    nothing: list[Any] = [None, "", [], {}]
    assert [key_text(value) for value in nothing] == [b""] * 4
    something: list[Any] = [0, False, 0.0, [None]]
    assert b"" not in [key_text(value) for value in something]
