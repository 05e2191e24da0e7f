"""What to do about inputs that failed, by the label of their error."""

_AGAIN = "Download these inputs, and launch them again"

ADVICE = {
    "BAD_INPUT": "The input itself is not usable. Correct its fields before you launch it again.",
    "BAD_PARAMETERS": (
        "A parameter of the launch has a wrong value: the message says which. Correct it in "
        "the call that launches the run."
    ),
    "MISSING_PARAMETER": (
        "The action needs a parameter that the launch did not give: the message says which."
    ),
    "NO_ACCESS": (
        "The identity may not see this, or the plan does not include the action. Use "
        "another identity, or ask Edges."
    ),
    "STATUS_403": (
        "LinkedIn refused it for this identity. Look whether the identity is restricted; "
        "try another one."
    ),
    "STATUS_404": (
        "There is no such profile, company or post any more. Check the address; trying "
        "again does not help."
    ),
    "NO_RESULT": (
        "Edges looked, and found nothing for this input. Check it for mistakes; otherwise "
        "it is an answer like any other."
    ),
    "LIMIT_REACHED": (
        f"The identity has used up its limit for today. {_AGAIN} after the time in "
        "params.postponed_until, or spread them over more identities."
    ),
    "STATUS_429": f"LinkedIn or Edges asked for fewer requests. {_AGAIN} later, and fewer at once.",
    "LK_ERROR": f"LinkedIn failed, mostly for a while. {_AGAIN}.",
    "LK_524": f"LinkedIn took too long. {_AGAIN}.",
    "LK_MISSING_DATA": (
        f"LinkedIn's answer lacked what the action needs. {_AGAIN} once; if it stays, the "
        "data is not there."
    ),
    "LK_INMAIL_CANNOT_RESEND": "This person has an InMail already, and cannot be sent another one.",
    "LK_INMAIL_NOT_ENOUGH_CREDIT": (
        "The identity has no InMail credits left. Wait until they are renewed, or use "
        "another identity."
    ),
    "LK_EVENT": (
        "The event cannot be read: it is over, private, or the identity does not attend it."
    ),
    "NOT_CONNECTED": (
        "The identity is not connected with this person, which the action needs. Send an "
        "invitation first."
    ),
    "ALREADY_CONNECTED": (
        "The identity is connected with this person already: there is nothing to do."
    ),
    "INVITATION_PENDING": (
        "There is an invitation already. Wait for the answer, or withdraw it first."
    ),
    "PROFILE_NOT_ACCESSIBLE": (
        "The profile is hidden from this identity. Another one, closer to the person, may see it."
    ),
    "SN_CONFLICT": (
        "Sales Navigator is in use elsewhere with this identity. Close other sessions, and "
        "launch the inputs again."
    ),
    "SN_OUT_OF_NETWORK": (
        "The person is outside of the identity's Sales Navigator network. Use another identity."
    ),
    "SN_ACCOUNT_UPGRADE": "This needs a higher plan of Sales Navigator than the identity has.",
    "NO_VALID_ACCOUNT_CONFIGURED": (
        "No identity can carry out this action. Connect one at Edges, or check identity_ids "
        "of the launch."
    ),
    "AUTH_EXPIRED": f"The identity is signed out of LinkedIn. Sign it in at Edges. {_AGAIN} then.",
    "INTEGRATION_ERROR": "A service that Edges works with failed. Ask Edges if it stays.",
    "PROXY_ERROR": (
        "The connection that Edges uses for this identity failed. Look at the identity at Edges."
    ),
    "GENERIC_ERROR": (
        f"Edges failed for a reason that it does not name. {_AGAIN}; if it stays, give Edges "
        "the error_ref."
    ),
    "NO_DATA_LOADED": f"The page did not load in time. {_AGAIN}.",
}
"""Labels of the provider's error reference."""

RETRYABLE = f"This may pass by itself. {_AGAIN}."
FINAL = "Trying again as it is does not help: the message says what is to be changed."


def advice(label: str, *, is_retryable: bool) -> str:
    """What to do about an error with this label; general words for one that is not known."""
    return ADVICE.get(label) or (RETRYABLE if is_retryable else FINAL)
