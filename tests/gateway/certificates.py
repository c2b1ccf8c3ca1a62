"""A certificate for this machine, made for the tests and good for nothing else. It does not age."""

from __future__ import annotations

from pathlib import Path

from holdfast.net.tls import Certificate

_CERT = """\
-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUMuZpvsxVpYsiRvnj8Pn7kwsoQw4wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMDEyMzAxNFoYDzIxMjYxMDI3
MTIzMDE0WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASkmy6gFLhst9HKWXoWLdCMVa4OIN1gdQYRezL/hw9hylRgr5Vg0a/F
prqR34HYoBPomJptgqRQ90YocZK2/wHmo28wbTAdBgNVHQ4EFgQUOxHjsEG+qxbH
sAdWfkFwUTKZeTEwHwYDVR0jBBgwFoAUOxHjsEG+qxbHsAdWfkFwUTKZeTEwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSQAwRgIhALqRamlQ2LImbWWocrGTt1gfcjCVGk0iREaK+mbUfdNXAiEA
iD2kYmmAeZkIa6Q/AJFis+cMFiNScfcg7B3kCCNi9og=
-----END CERTIFICATE-----
"""
_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgX8Ppp6Dj8EWHmlDf
wrkehSO3lYIQDrAPsn4WrCw+t46hRANCAASkmy6gFLhst9HKWXoWLdCMVa4OIN1g
dQYRezL/hw9hylRgr5Vg0a/FprqR34HYoBPomJptgqRQ90YocZK2/wHm
-----END PRIVATE KEY-----
"""


def certificate(folder: Path) -> Certificate:
    """The certificate and its key, as files in `folder`. It is its own authority."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    cert.write_text(_CERT)
    key.write_text(_KEY)
    return Certificate(str(cert), str(key))
