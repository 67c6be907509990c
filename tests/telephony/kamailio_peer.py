"""Kamailio as a trunk: asks for digest, stays in the path, hands calls on to a port of this machine."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from callwright.simulator.loopback import unused_port

PATIENCE_SECONDS = 60.0
CONFIGURATION = Path(__file__).parent / "kamailio.cfg"
TLS_CONFIGURATION = """[server:default]
method = TLSv1.2+
verify_certificate = no
private_key = {file}
certificate = {file}
"""


def need_kamailio() -> None:
    """Skip without it; in CI that is a failure."""
    if shutil.which("kamailio") is None:
        if os.environ.get("CI"):
            pytest.fail("Kamailio is missing: scripts/install-peers installs it")
        pytest.skip("Kamailio is not installed (Debian's kamailio and kamailio-tls-modules)")


@asynccontextmanager
async def kamailio(folder: Path, carrier_port: int, certificate: str) -> AsyncIterator[tuple[int, int]]:
    """A running Kamailio in front of a carrier; its SIP and TLS ports."""
    sip_port, tls_port = unused_port(), unused_port()
    (folder / "tls.cfg").write_text(TLS_CONFIGURATION.format(file=certificate))
    words = {
        "TLS_CONFIG": str(folder / "tls.cfg"), "SIP_PORT": str(sip_port), "TLS_PORT": str(tls_port),
        "CARRIER_PORT": str(carrier_port),
    }  # fmt: skip
    text = CONFIGURATION.read_text()
    for word, value in words.items():
        text = text.replace(word, value)
    (folder / "kamailio.cfg").write_text(text)
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
        "kamailio", "-DD", "-f", str(folder / "kamailio.cfg"), "-Y", str(folder), "-P", str(folder / "pid"), "-n", "1",
        "-m", "32", "-M", "4", stdin=asyncio.subprocess.DEVNULL, stderr=log,
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", tls_port)
                except OSError:
                    assert process.returncode is None, (folder / "log").read_text()
                    await asyncio.sleep(0.1)
                else:
                    writer.close()
                    break
        yield sip_port, tls_port
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
