"""A TLS server's certificate: looked at whether it is believed or not."""

import asyncio
import datetime as dt
import ssl
from dataclasses import dataclass

from cryptography import x509

from callwright.telephony.tls import client_context, reason_of
from callwright.telephony.trunk import Trunk

CONNECT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server showed."""

    names: tuple[str, ...]
    days_left: float
    "until it expires; negative when it has"
    problem: str
    "why it is not believed; empty when it is"


async def look(trunk: Trunk, host: str, port: int, name: str, now: float) -> Certificate:
    """Connect twice: once to see the certificate, once to have it judged. OSError when there is no TLS at all."""
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE  # only looked at; nothing is said there
    if trunk.certificate:
        careless.load_cert_chain(trunk.certificate, trunk.key or None)
    shown = await _handshake(host, port, name, careless)
    certificate = x509.load_der_x509_certificate(shown)
    left = certificate.not_valid_after_utc - dt.datetime.fromtimestamp(now, dt.UTC)
    problem = ""
    try:
        await _handshake(host, port, name, client_context(trunk.ca_file, trunk.certificate, trunk.key))
    except ssl.SSLCertVerificationError as error:
        problem = error.verify_message
    except OSError as error:
        problem = reason_of(error)
    return Certificate(_names(certificate), left.total_seconds() / 86_400, problem)


async def _handshake(host: str, port: int, name: str, context: ssl.SSLContext) -> bytes:
    async with asyncio.timeout(CONNECT_SECONDS):
        _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=name)
    try:
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return bytes(shown or b"")
    finally:
        writer.close()


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return (*names.get_values_for_type(x509.DNSName), *addresses)
