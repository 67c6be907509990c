"""`callwright run`: the whole platform on this machine, with a built-in carrier whose handset rings."""

import argparse
import asyncio
import contextlib
import gc
import json
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from callwright.cli.options import add_settings, read_settings
from callwright.settings import DEVELOPMENT_SUB_ACCOUNT, HostPort, Settings, Trunk
from callwright.telemetry import log

if TYPE_CHECKING:
    from callwright.node import Node
    from callwright.simulator.carrier import Heard

HELP = "start callwright for development, with a built-in carrier whose handset rings"
GARBAGE_THRESHOLDS = (20_000, 20, 50)
"""New objects before a look for garbage among them, and looks before one among older ones (usually 700, 10, 10)."""
SPOKEN = "Hello, this is a test Voice Message."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name the flags."""
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or Ctrl-C; returns the exit status."""
    return start(read_settings(arguments, development=True))


def start(settings: Settings) -> int:
    """Run a node in the foreground."""
    log.configure(settings.log_level, settings.log_format)
    return asyncio.run(_run(settings))


async def _run(settings: Settings) -> int:
    from callwright.node import Node  # here, because it takes a second to load, and wrong settings are told at once

    node = await Node.start(settings, on_heard=_tell_heard)  # until it stands, a signal simply ends it
    _spare_the_collector()
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    _greet(node)
    await ending.wait()
    _say(f"Stopping: no new calls; live ones have {settings.drain_seconds:g} s. Again to stop at once.")
    ending.clear()
    stopping = asyncio.create_task(node.stop(settings.drain_seconds))
    again = asyncio.create_task(ending.wait())
    await asyncio.wait({stopping, again}, return_when=asyncio.FIRST_COMPLETED)
    if not stopping.done():
        node.board.cut_off()
    cut_off = await stopping
    again.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await again
    _say(f"Stopped; {cut_off} calls were cut off." if cut_off else "Stopped.")
    return 0


def _spare_the_collector() -> None:
    """What the program itself is made of stays until its end: look for garbage among what calls leave behind only."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def _say(words: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(words, markup=False)


def _tell_heard(heard: "Heard") -> None:
    _say(f"         the handset heard {heard.seconds:.1f} s: {heard.path}")


def _greet(node: "Node") -> None:
    settings = node.settings
    console = Console(highlight=False, soft_wrap=True)
    host, port = node.telephony.address
    lines = [
        ("HTTP", f"http://{node.http.address}"),
        ("SIP", f"{host}:{port} (UDP and TCP)"),
        ("trunk", trunk_words(None if node.carrier is None else node.carrier.address, settings.trunks)),
        ("data", settings.data),
    ]
    if node.development_key is not None:
        lines += [("sub-account", DEVELOPMENT_SUB_ACCOUNT), ("API key", node.development_key)]
    body = Text("\n").join(Text.assemble((f"{label:<12}", "bold"), value) for label, value in lines)
    console.print(Panel.fit(body, title="callwright is ready", title_align="left"))
    if node.development_key is not None:
        console.print("\nCall somebody:\n")
        # As plain text: it is to be pasted.
        print(curl(node.http.address, node.development_key), flush=True)  # noqa: T201
        console.print("\nWithout curl: callwright call +6512345678 'Hello'. Ctrl-C stops.\n", style="dim")
    sys.stdout.flush()


def trunk_words(carrier: tuple[str, int] | None, trunks: Sequence[Trunk]) -> str:
    """Who takes the calls: the built-in carrier at that address, or these trunks."""
    if carrier is not None:
        return f"built-in carrier at {HostPort(*carrier)}, whose handset answers"
    return ", ".join(f"{trunk.name} ({trunk.uri})" for trunk in trunks)


def curl(address: HostPort, key: str) -> str:
    """The tutorial's request, ready to paste into a shell."""
    body = {
        "callflow": [
            {"action": "makeCall", "params": {"source": "+6512341234", "destination": "+6512345678"}},
            {
                "action": "say",
                "params": {"text": SPOKEN, "voiceProfile": "en-IE-EmilyNeural", "repetition": 1, "speed": 1},
            },
            {"action": "hangup"},
        ]
    }
    url = f"http://{address}/api/v1/subaccounts/{DEVELOPMENT_SUB_ACCOUNT}/callflows"
    return (
        f'curl -X "POST" "{url}" \\\n'
        f'  -H "Authorization: Bearer {key}" \\\n'
        f'  -H "Content-Type: application/json" \\\n'
        f"  -d '{json.dumps(body)}'"
    )
