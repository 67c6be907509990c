"""Who calls and who is called, as a trunk's INVITE says it. Pure.

RFC 3261 §8.1.1 (Request-URI, To, From), RFC 3325 (P-Asserted-Identity), RFC 3323 (Privacy), RFC 3966 (tel URIs). A
trunk is trusted to assert identities: nobody else gets this far.
"""

import re

from callwright.errors import SipSyntaxError
from callwright.numbers import parse_msisdn
from callwright.sip.address import NameAddr, SipUri, unescape
from callwright.sip.lexis import split_list
from callwright.sip.message import Request

_VISUAL_SEPARATORS = re.compile(r"[-.() ]")
_HIDDEN = {"id", "user", "header"}
"""Privacy values that ask for the caller not to be shown."""
LONGEST_FORWARDING = 1_000
ANONYMOUS_HOST = "anonymous.invalid"


def called_number(request: Request) -> str | None:
    """The number that was called, E.164 with +; None when there is none.

    The Request-URI says it; trunks that send every call to one registered contact put it into To alone.
    """
    return _number(request.uri) or _number(_uri_of(request.headers.get("To") or ""))


def calling_number(request: Request) -> str:
    """Who calls, E.164 with +; empty when the caller hides it or shows no number."""
    if _is_hidden(request):
        return ""
    asserted = [one for value in request.headers.all("P-Asserted-Identity") for one in _values(value)]
    for value in (*asserted, request.headers.get("From") or ""):
        number = _number(_uri_of(value))
        if number is not None:
            return number
    return ""


def forwarding_of(request: Request) -> dict[str, str | int | float | bool | None]:
    """Who sent the call on to us, as Diversion (RFC 5806) and History-Info (RFC 7044) say: nothing of it is believed.

    Empty when neither is there.
    """
    fields: dict[str, str | int | float | bool | None] = {}
    for name, key in (("Diversion", "diversion"), ("History-Info", "history_info")):
        told = ", ".join(request.headers.all(name))
        if told:
            fields[key] = told[:LONGEST_FORWARDING]
    return fields


def _is_hidden(request: Request) -> bool:
    for value in request.headers.all("Privacy"):
        if not _HIDDEN.isdisjoint(part.strip().lower() for part in value.split(";")):
            return True
    try:
        shown = NameAddr.parse(request.headers.get("From") or "").sip_uri
    except SipSyntaxError:
        return False  # another scheme, such as tel
    return shown.host.lower() == ANONYMOUS_HOST or shown.decoded_user.lower() == "anonymous"


def _values(text: str) -> list[str]:
    try:
        return split_list(text, ",")
    except SipSyntaxError:
        return []


def _uri_of(value: str) -> str:
    """The URI in a header's value; empty when it is broken."""
    try:
        return NameAddr.parse(value).uri
    except SipSyntaxError:
        return ""


def _number(uri: str) -> str | None:
    """The number that a sip, sips or tel URI names."""
    if uri[:4].lower() == "tel:":
        text = unescape(uri[4:].partition(";")[0])
    else:
        try:
            # Parameters in the user part are the number's (RFC 3261 §19.1.6): +6512345678;npdi;rn=+65...
            text = SipUri.parse(uri).decoded_user.partition(";")[0]
        except SipSyntaxError:
            return None
    text = _VISUAL_SEPARATORS.sub("", text)
    return parse_msisdn("+" + text[2:] if text.startswith("00") else text)
