"""Profiles, as extract-people, search-people and their kin return them."""

from typing import Any

from app.simulator.results.draws import Draws, base36
from app.simulator.results.vocabulary import (
    COMPANIES,
    DEGREES,
    EMOJI,
    FIELDS_OF_STUDY,
    FLUENCIES,
    INDUSTRIES,
    JOBS,
    LANGUAGES,
    NAMES,
    PLACES,
    SCHOOLS,
    SENTENCES,
    SKILLS,
)

Json = dict[str, Any]

_PROFILE = "https://www.linkedin.com/in/"
_COMPANY = "https://www.linkedin.com/company/"
_LEAD = "https://www.linkedin.com/sales/lead/"
_IMAGE = "https://media.licdn.example/dms/image/"


def person(draws: Draws) -> Json:
    """A profile of some 2 KB."""
    first_names, last_names = draws.pick(NAMES)
    first, last = draws.pick(first_names), draws.pick(last_names)
    key = base36(draws.serial)
    handle = f"{first}-{last}-{key}".lower().replace(" ", "-") if first.isascii() else f"p-{key}"
    place, country = draws.pick(PLACES)
    experiences = [_experience(draws, is_current=n == 0) for n in range(draws.number(1, 3))]
    job = experiences[0]
    lead = f"ACwAA{key.upper():0>10}"
    return {
        "linkedin_profile_id": draws.serial,
        "sales_navigator_profile_id": lead,
        "linkedin_profile_handle": handle,
        "linkedin_profile_url": _PROFILE + handle,
        "sales_navigator_profile_url": f"{_LEAD}{lead},NAME_SEARCH",
        "full_name": f"{first} {last}",
        "first_name": first,
        "last_name": last,
        "headline": f"{job['job_title']} @ {job['company_name']}{draws.pick(EMOJI)}",
        "about": _about(draws),
        "location": place,
        "country_code": country,
        "industry": draws.pick(INDUSTRIES),
        "job_title": job["job_title"],
        "company_name": job["company_name"],
        "linkedin_company_id": job["linkedin_company_id"],
        "linkedin_company_url": job["linkedin_company_url"],
        "company_employee_range": draws.pick(("11-50", "51-200", "1001-5000", None)),
        "connection_degree": draws.number(1, 3),
        "connections_count": draws.number(0, 500),
        "followers_count": draws.number(0, 90_000),
        "mutual_connections_count": draws.number(0, 40) if draws.happens(0.5) else None,
        "profile_image_url": f"{_IMAGE}{key}/profile.jpg" if draws.happens(0.8) else None,
        "background_image_url": None,
        "is_premium": draws.happens(0.3),
        "is_open_to_work": draws.happens(0.1),
        "is_hiring": draws.happens(0.1),
        "email": None,
        # A number that is text: read as a number, it loses its zeros.
        "external_ref": f"{draws.number(1, 999_999):010}",
        "birthday": None,
        "member_since": draws.date(2004, 2022),
        "last_activity_at": draws.moment(2024, 2025) if draws.happens(0.6) else None,
        "engagement_score": draws.number(0, 10_000) / 10_000,
        "experiences": experiences,
        "education": [_education(draws) for _ in range(draws.number(0, 2))],
        "skills": [
            {"name": name, "endorsements_count": draws.number(0, 99)}
            for name in draws.several(SKILLS, 1, 7)
        ],
        "languages": [
            {"name": name, "proficiency": draws.pick(FLUENCIES)}
            for name in draws.several(LANGUAGES, 0, 3)
        ],
        "certifications": [],
    }


def _about(draws: Draws) -> str | None:
    if draws.happens(0.12):
        return None
    longest = 40 if draws.happens(0.01) else 8  # a few write a page
    return " ".join(draws.several(SENTENCES, 1, longest))


def _experience(draws: Draws, *, is_current: bool) -> Json:
    company = draws.pick(COMPANIES)
    company_id = draws.number(1_000, 99_999_999)
    return {
        "job_title": draws.pick(JOBS),
        "company_name": company,
        "linkedin_company_id": company_id,
        "linkedin_company_url": f"{_COMPANY}{company_id}/",
        "location": draws.pick(PLACES)[0] if draws.happens(0.5) else None,
        "started_on": draws.date(2008, 2021),
        "ended_on": None if is_current else draws.date(2022, 2025),
        "description": draws.pick(SENTENCES) if draws.happens(0.4) else None,
    }


def _education(draws: Draws) -> Json:
    return {
        "school_name": draws.pick(SCHOOLS),
        "degree": draws.pick(DEGREES) if draws.happens(0.8) else None,
        "field_of_study": draws.pick(FIELDS_OF_STUDY),
        "started_year": draws.number(1990, 2016),
        "ended_year": draws.number(2017, 2025),
    }
