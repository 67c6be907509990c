"""Reading the body of a callflow request: JSON to a checked plan."""

import json
import timeit

from bench.rig.result import Figure, Result
from bench.rig.rig import MESSAGE, SOURCE, Rig, number, say
from callwright.contract.policy import RequestPolicy
from callwright.contract.request import parse_callflow

NOW = 1_750_000_000.0


async def measure(rig: Rig) -> Result:
    """Microseconds for the tutorial's body, and for one with a text of the greatest length; the fastest round."""
    loops, rounds = rig.sized(20, 200, 200), rig.sized(2, 20, 100)
    policy = RequestPolicy()
    figures = []
    for name, text in (("tutorial", MESSAGE), ("3,000 characters", ("All is well. " * 231)[:3000])):
        dial = {"action": "makeCall", "params": {"source": SOURCE, "destination": number(1)}}
        body = json.dumps({"callflow": [dial, say(text), {"action": "hangup"}]}).encode()

        def once(body: bytes = body) -> None:
            parse_callflow(body, policy, NOW, "request")

        fastest = min(timeit.repeat(once, number=loops, repeat=rounds)) / loops * 1e6
        figures.append(Figure(f"contract parse, {name}", fastest, "µs", note="the fastest round"))
    return Result("contract_parse", tuple(figures))
