"""What a 3xx offers (RFC 3261 §8.1.3.4, §19.1.5), and what of it is followed: only inside the trunk. Pure.

A call that leaves the trunk costs money, and a call to another number may cost more than the one that was allowed.
So a Contact counts when it stands for the number that was called, or for another of the same country that is no costly
one (premium, satellite, short); whether its host is one of the trunk's is for whoever looks names up to say.
"""

from callwright.errors import SipSyntaxError
from callwright.numbers import country_code, destination_allowed, parse_msisdn
from callwright.settings import ANY_DESTINATION
from callwright.sip.address import NameAddr, SipUri
from callwright.sip.message import Headers

MOST_REDIRECTIONS = 5
"""Of one call; RFC 3261 asks only that loops end."""
MOST_CONTACTS = 10
_USUAL_Q = 1.0


def contacts_of(headers: Headers | None) -> list[SipUri]:
    """The SIP URIs that a 3xx offers, the most wanted first; others (sips, tel, mailto) are left out."""
    offered: list[tuple[float, SipUri]] = []
    for value in [] if headers is None else headers.values("Contact")[:MOST_CONTACTS]:
        try:
            contact = NameAddr.parse(value)
            uri = contact.sip_uri
            q = float(contact.params.get("q") or _USUAL_Q)
        except (SipSyntaxError, ValueError):
            continue
        if uri.scheme == "sip" and 0.0 <= q <= 1.0:
            offered.append((q, uri))
    return [uri for _, uri in sorted(offered, key=lambda one: -one[0])]


def may_stand_for(uri: SipUri, asked: SipUri, destination: str) -> bool:
    """Whether a Contact may be called in place of `asked`, which stands for the number `destination` (E.164 with +)."""
    if uri.user == asked.user:
        return True
    user = uri.decoded_user.partition(";")[0]
    number = parse_msisdn(user) if user.startswith("+") else None
    if number is None:  # a local number or a name may be anything
        return False
    return country_code(number) == country_code(destination) and destination_allowed(number, (ANY_DESTINATION,))
