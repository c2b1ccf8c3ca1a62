from __future__ import annotations

import base64
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.ids import new_sid
from holdfast.sessions.claims import ClaimRefusal
from holdfast.sessions.tokens import UNKNOWN_SESSION, Tokens, TokenStatus, hash_code, split_token


def secret_of(token: str) -> bytes:
    parts = split_token(token)
    assert parts is not None
    return parts[1]


def test_a_token_names_its_session_and_holds_32_random_bytes() -> None:
    sid = new_sid()
    token = Tokens().issue(sid)
    parts = split_token(token)
    assert parts is not None
    assert parts[0] == sid
    assert len(parts[1]) == 32
    assert base64.urlsafe_b64decode(token)[:16] == UUID(sid).bytes


def test_only_hashes_are_kept() -> None:
    tokens = Tokens()
    secret = secret_of(tokens.issue(new_sid()))
    assert secret not in (tokens.current, tokens.previous)


def test_the_presented_token_stays_valid_until_the_new_one_is_confirmed() -> None:
    tokens, sid = Tokens(), new_sid()
    first = secret_of(tokens.issue(sid))
    second = secret_of(tokens.issue(sid, first))
    assert tokens.judge(first) is tokens.judge(second) is TokenStatus.VALID
    tokens.confirm()
    assert tokens.judge(second) is TokenStatus.VALID
    assert tokens.judge(first) is TokenStatus.RETIRED


def test_a_client_whose_answers_are_lost_may_try_with_the_same_token_again_and_again() -> None:
    tokens, sid = Tokens(), new_sid()
    first = secret_of(tokens.issue(sid))
    lost = [secret_of(tokens.issue(sid, first)) for _ in range(5)]
    assert tokens.judge(first) is TokenStatus.VALID
    assert tokens.judge(lost[-1]) is TokenStatus.VALID
    assert {tokens.judge(secret) for secret in lost[:-1]} == {TokenStatus.RETIRED}


def test_taken_up_by_other_means_all_tokens_are_void_but_none_is_stolen() -> None:
    tokens, sid = Tokens(), new_sid()
    old = [secret_of(tokens.issue(sid))]
    old.append(secret_of(tokens.issue(sid, old[0])))
    tokens.confirm()
    tokens.forget()
    new = secret_of(tokens.issue(sid))
    assert {tokens.judge(secret) for secret in old} == {TokenStatus.UNKNOWN}
    assert tokens.judge(new) is TokenStatus.VALID


def test_renewing_keeps_the_present_token_beside_the_new_one_and_no_other() -> None:
    tokens, sid = Tokens(), new_sid()
    planted = secret_of(tokens.issue(sid))
    present = secret_of(tokens.issue(sid, planted))
    new = secret_of(tokens.renew(sid))
    assert tokens.judge(planted) is TokenStatus.UNKNOWN  # it cannot even end the session
    assert tokens.judge(present) is tokens.judge(new) is TokenStatus.VALID
    tokens.confirm()
    assert tokens.judge(present) is TokenStatus.RETIRED
    assert tokens.judge(new) is TokenStatus.VALID


def test_where_no_new_token_can_be_told_the_present_one_alone_is_kept() -> None:
    tokens, sid = Tokens(), new_sid()
    planted = secret_of(tokens.issue(sid))
    present = secret_of(tokens.issue(sid, planted))
    tokens.keep_newest()
    assert tokens.judge(planted) is TokenStatus.UNKNOWN
    assert tokens.judge(present) is TokenStatus.VALID


def test_a_wrong_secret_and_the_empty_one_are_unknown() -> None:
    tokens = Tokens()
    tokens.issue(new_sid())
    assert tokens.judge(bytes(32)) is TokenStatus.UNKNOWN
    assert tokens.judge(b"") is TokenStatus.UNKNOWN
    assert UNKNOWN_SESSION.judge(bytes(32)) is TokenStatus.UNKNOWN


def test_how_many_retired_tokens_are_remembered_is_bounded() -> None:
    tokens, sid = Tokens(), new_sid()
    secret = secret_of(tokens.issue(sid))
    for _ in range(50):
        secret = secret_of(tokens.issue(sid, secret))
        tokens.confirm()
    assert len(tokens.retired) <= 8


@pytest.mark.parametrize("junk", ["", "x", "é" * 64, "A" * 63, "A" * 65, "=" * 64, "A" * 63 + "!"])
def test_what_is_no_token_is_recognised(junk: str) -> None:
    assert split_token(junk) is None


@given(st.text(max_size=80))
def test_any_text_is_a_token_or_not(text: str) -> None:
    parts = split_token(text)
    assert parts is None or len(parts[1]) == 32


def test_a_code_s_hash_is_not_the_hash_of_a_secret() -> None:
    assert hash_code("ABCD2345") != hash_code("ABCD2346")


def test_each_refusal_says_why() -> None:
    refusals = ClaimRefusal.__members__.values()
    assert [refusal for refusal in refusals if not refusal.value] == []
    assert len(set(refusals)) == len(refusals), "two have the same text"
