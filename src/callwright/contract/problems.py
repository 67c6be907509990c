"""Problem details (RFC 9457) for the resources that are ours and no part of the contract."""

from callwright.errors import ContractError

MEDIA_TYPE = "application/problem+json"
_PHRASES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
"""RFC 9110 §15 and RFC 6585; `about:blank` problems are titled so (RFC 9457 §4.2.1)."""


def problem(http_status: int, detail: str, instance: str) -> dict[str, object]:
    """The body: `detail` says what is wrong with this very request, `instance` is a URI that names it in our logs."""
    return {
        "type": "about:blank",
        "title": _PHRASES.get(http_status, "Error"),
        "status": http_status,
        "detail": detail,
        "instance": instance,
    }


def problem_of(error: ContractError, request_id: str) -> dict[str, object]:
    """The body for a refused request; `request_id` is a UUID."""
    return problem(error.http_status, error.message, f"urn:uuid:{request_id}")
