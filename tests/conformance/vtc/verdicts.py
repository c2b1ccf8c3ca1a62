"""The verdicts of the reference, VTest2 (11ee9109), on the public suites."""

from __future__ import annotations

PASS = frozenset({"passed"})
FAIL = frozenset({"FAILED"})
SKIP = frozenset({"skipped"})
IF_INSTALLED = PASS | SKIP
"""Depends on a program that the machine may have or not."""

HAPROXY = {
    # Written for the first VTest: `shell` with `set -e`, and the field User-Agent.
    "reg-tests/lua/close_wait_lf.vtc": FAIL,
    "reg-tests/sample_fetches/cond_set_var.vtc": FAIL,
    # A defect of HAProxy 2.6.12 as Debian has patched it.
    "reg-tests/http-rules/normalize_uri.vtc": FAIL,
}
"""HAProxy 2.6.12's regression tests with Debian's haproxy. What is not here passes."""

HAPROXY_FLAKY = frozenset(
    f"reg-tests/{name}.vtc"
    for name in (
        "connection/http_reuse_always",
        "connection/http_reuse_safe",
        "http-messaging/h1_host_normalization",
        "http-messaging/protocol_upgrade",
        "http-messaging/http_splicing",
        "ssl/ssl_dh",
        "ssl/ssl_reuse",
        "checks/tls_health_checks",
        "converter/sha2",
        "ssl/ssl_generate_certificate",
        "stickiness/lb-services",
        "checks/http-check",
        "checks/http-check-expect",
        "server/cli_delete_dynamic_server",
    )
)
"""These pass or fail with the reference too, from run to run."""

VARNISH = {
    "a00001.vtc": IF_INSTALLED,  # vttest
    "a00014.vtc": SKIP,
    "a02022.vtc": IF_INSTALLED,  # nghttp
}
"""Varnish 7.1's a*.vtc."""

VTEST2 = {
    "a00001.vtc": IF_INSTALLED,
    "a00014.vtc": SKIP,
    "a00025.vtc": SKIP,
    "a00027.vtc": IF_INSTALLED,  # haproxy, of a certain age
    "a00028.vtc": IF_INSTALLED,
    "a02022.vtc": IF_INSTALLED,
    "a02027.vtc": SKIP,
}
"""VTest2's own tests."""
