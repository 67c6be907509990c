"""The only door to outside URLs: webhooks, `fileUrl` and cloud speech all pass it.

`address` decides which addresses may be reached, `network` resolves a name, checks and connects to the checked address,
`http1` speaks HTTP on a connection, `pool` keeps connections, `target` reads URLs, and `client` is the door, with its
budgets for time and size.
"""

from callwright.egress.client import Answer, Egress, Fetched
from callwright.egress.network import Resolver

__all__ = ["Answer", "Egress", "Fetched", "Resolver"]
