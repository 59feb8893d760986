"""A client shows its token, trusts one certificate, and ends each call at its deadline."""

import dataclasses
import threading
from pathlib import Path

import grpc
import pytest

from hilserl.address import Address
from hilserl.data.spec import ExperienceSpec
from hilserl.distributed.credentials import Credentials
from hilserl.distributed.protocol import (
    ProtocolError,
    UnreachableError,
)
from tests.support.calls import (
    LONG_S,
    A,
    B,
    all_calls,
    calling,
    put,
    raw,
)
from tests.support.loopback import ToyLearner, hello_of, keys, linked
from tests.support.loopback import toy_episode as episode


def test_calls_without_the_right_token_do_nothing(tmp_path: Path, state_spec: ExperienceSpec) -> None:
    with ToyLearner(tmp_path, state_spec, Credentials("the token")) as learner:
        with calling(learner, Credentials("the token")) as line:
            line.hello(hello_of(state_spec, A))
        refused = 0
        for token in (None, "another", "the token2", "the toke", "THE TOKEN", "x" * 4000):
            with calling(learner, Credentials(token)) as line:
                for call in all_calls(line, learner).values():
                    with pytest.raises(ProtocolError, match="token"):
                        call()
                    refused += 1
        assert learner.exchange.refused == refused
        assert learner.log.cursors[A].session == 1
        assert learner.kept == []
        with calling(learner, Credentials("the token")) as line:
            for name, call in all_calls(line, learner).items():
                call() if name != "put" else put(line, 2, 1, episode(0), learner)
        assert learner.kept == keys([episode(0)])


def test_token_in_any_other_form_is_refused(tmp_path: Path, state_spec: ExperienceSpec) -> None:
    headers: list[list[tuple[str, str | bytes]]] = [
        [("authorization", "the token2")],
        [("authorization", "Basic the token")],
        [("authorization", "")],
        [("authorization", "Bearer ")],
        [("authorization", "Bearer wrong"), ("authorization", "Bearer the token")],
        [("token", "the token")],
        [("authorization-bin", b"\xff\xfe\0")],
    ]
    with ToyLearner(tmp_path, state_spec, Credentials("the token")) as learner, raw(learner) as caller:
        for header in headers:
            with pytest.raises(grpc.RpcError) as refused:
                caller.ask("describe", b"{}", header)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert caller.ask("describe", b"{}", [("authorization", "Bearer the token")])


def without_key(credentials: Credentials) -> Credentials:
    return Credentials(credentials.token, credentials.certificate)


def test_encrypted_connection_carries_everything(
    tmp_path: Path, state_spec: ExperienceSpec, secrets: dict[str, Credentials]
) -> None:
    with ToyLearner(tmp_path, state_spec, secrets["right"]) as learner:
        with linked(tmp_path / "actor", state_spec, learner.address, without_key(secrets["right"])) as link:
            link.connect(lambda _: False)
            for step in episode(0):
                link.send(step)
            assert link.flush(LONG_S)
        with calling(Address("localhost", learner.port), without_key(secrets["right"])) as line:
            line.describe()
        assert learner.kept == keys([episode(0)])


@pytest.mark.parametrize("shown", ["other", "expired", "elsewhere"])
def test_untrusted_learner_is_told_nothing(
    tmp_path: Path, state_spec: ExperienceSpec, secrets: dict[str, Credentials], shown: str
) -> None:
    """Another's certificate, one that has expired, one for another host."""
    believed = secrets["right" if shown == "other" else shown]
    with (
        ToyLearner(tmp_path, state_spec, dataclasses.replace(secrets[shown], token=believed.token)) as learner,
        calling(learner, without_key(believed)) as line,
    ):
        for call in all_calls(line, learner).values():
            with pytest.raises(ProtocolError, match=r"certificate.*is not to be trusted"):
                call()
        assert not learner.log.cursors


def test_wrong_token_with_the_right_certificate_is_refused(
    tmp_path: Path, state_spec: ExperienceSpec, secrets: dict[str, Credentials]
) -> None:
    wrong = dataclasses.replace(without_key(secrets["right"]), token=secrets["other"].token)
    with ToyLearner(tmp_path, state_spec, secrets["right"]) as learner, calling(learner, wrong) as line:
        with pytest.raises(ProtocolError, match="The token is wrong"):
            line.hello(hello_of(state_spec, A))
        assert not learner.log.cursors


def test_open_connection_does_not_reach_an_encrypted_learner_nor_the_other_way_round(
    tmp_path: Path, state_spec: ExperienceSpec, secrets: dict[str, Credentials]
) -> None:
    right = secrets["right"]
    for name, shown, used in (("tls", right, Credentials(right.token)), ("plain", Credentials(right.token), right)):
        (tmp_path / name).mkdir()
        with ToyLearner(tmp_path / name, state_spec, shown) as learner:
            with calling(learner, without_key(used)) as line, pytest.raises((UnreachableError, ProtocolError)):
                line.hello(hello_of(state_spec, A))
            assert not learner.log.cursors
            with calling(learner, without_key(shown)) as line:
                line.describe()


def test_call_ends_at_its_deadline_and_others_are_served(learner: ToyLearner, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = threading.Event()
    monkeypatch.setattr(learner, "prepare", lambda step: (stuck.wait(LONG_S) and step) or step)
    learner.stop()
    learner.start()
    with calling(learner, deadline_s=1.0) as line, calling(learner) as other:
        try:
            line.hello(hello_of(learner.spec, A))
            with pytest.raises(UnreachableError, match=str(learner.address)):
                put(line, 1, 1, episode(0), learner)
            other.describe()
            assert other.hello(hello_of(learner.spec, B)).number == 1
        finally:
            stuck.set()
