"""TLS as SIP needs it: 1.2 or 1.3, the server's name checked, our own certificate where the trunk asks for one.

RFC 3261 §26.3.1 and RFC 5922 §7: a connection counts only when the certificate bears the name that was looked up.
"""

import os
import ssl

from callwright.errors import TelephonyError


def client_context(ca_file: str = "", certificate: str = "", key: str = "") -> ssl.SSLContext:
    """For connections to a trunk: its certificate must come from `ca_file`, or from an authority of this system.

    `certificate` and `key` (PEM files; the key may stand in the certificate's file) prove us when the trunk asks.
    TelephonyError says which file is wrong.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies the chain and the name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file:
        _trust(context, ca_file)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if certificate:
        _prove(context, certificate, key)
    return context


def server_context(certificate: str, key: str = "", ca_file: str = "") -> ssl.SSLContext:
    """For connections to us. With `ca_file` a peer must prove itself by a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _prove(context, certificate, key)
    if ca_file:
        _trust(context, ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _trust(context: ssl.SSLContext, ca_file: str) -> None:
    try:
        context.load_verify_locations(cafile=ca_file)
    except OSError as error:  # ssl.SSLError among them
        raise TelephonyError(f"the CA file {ca_file} cannot be used: {reason_of(error)}") from error


def _prove(context: ssl.SSLContext, certificate: str, key: str) -> None:
    try:
        # An encrypted key would make OpenSSL ask on the terminal; a server has nobody there to answer.
        context.load_cert_chain(certificate, key or None, password=lambda: b"")
    except OSError as error:
        files = f"{certificate} with the key {key}" if key else certificate
        raise TelephonyError(f"the certificate {files} cannot be used: {reason_of(error)}") from error


def reason_of(error: OSError) -> str:
    """What went wrong with a file or a connection, in words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)  # asyncio puts words of its own around it
    return error.strerror or str(error) or type(error).__name__
