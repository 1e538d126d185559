"""Certificates, checked by swapd's own client, which shares no code with the replica."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import cbor2
import pytest

from swapd.chains.icp import certificate as client
from swapd.chains.icp import hashtree
from swapd.chains.icp.errors import Untrusted
from swapd.devnet.replica import ManualClock, Replica
from swapd.devnet.replica.certificates import Delegated
from swapd.devnet.replica.hash_tree import Path, Tree, digest, witness
from swapd.devnet.replica.state import RANGES
from swapd.devnet.replica.state_tree import BadPath, Forbidden
from tests.devnet.replica.probing import ALICE, BOB, EMPTY, Probe
from tests.devnet.replica.wasm import motoko

MINUTE = 60 * 10**9
DELEGATED = get_args(Delegated)


@pytest.fixture(params=DELEGATED)
def probe(request: pytest.FixtureRequest) -> Probe:
    return Probe(Replica(clock=ManualClock(), delegated=request.param))


def verified(probe: Probe, raw: bytes, canister_id: bytes | None = None) -> client.Certificate:
    return client.verify(
        raw,
        root_key=probe.replica.root_key,
        canister_id=canister_id or probe.id,
        now_ns=probe.replica.now_ns,
        max_age_ns=MINUTE,
        max_ahead_ns=0,
    )


def path(probe: Probe, *rest: bytes) -> list[bytes]:
    return [b"canister", probe.id, *rest]


def test_certified_data_is_certified(probe: Probe) -> None:
    probe.update("certify", b"\5" * 32)
    raw = probe.query("certificate")
    assert verified(probe, raw).certified_data(probe.id) == b"\5" * 32
    assert verified(probe, raw).time_ns == probe.replica.now_ns


def test_an_update_has_no_certificate(probe: Probe) -> None:
    assert probe.update("certificate") == b""


def test_the_root_key_is_the_same_for_the_same_seed_and_only_for_that() -> None:
    keys = [Replica(seed=seed, clock=ManualClock()).root_key for seed in (b"a", b"a", b"b")]
    assert keys[0] == keys[1] != keys[2]
    assert {len(key) for key in keys} == {133}


def test_a_changed_byte_is_noticed_wherever_it_is(probe: Probe) -> None:
    raw = probe.replica.certificate([path(probe, b"certified_data")], probe.id)
    verified(probe, raw)
    for at in range(3, len(raw), 7):
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        with pytest.raises(Untrusted):
            verified(probe, changed)


def test_a_certificate_says_module_and_controllers(probe: Probe) -> None:
    paths = [path(probe, b"module_hash"), path(probe, b"controllers")]
    seen = verified(probe, probe.replica.certificate(paths, probe.id))
    module = probe.canister.module
    assert module
    assert seen.value(paths[0]) == module.hash
    assert list(cbor2.loads(seen.value(paths[1]) or b"")) == [ALICE]


def test_what_there_is_not_is_proven_absent(probe: Probe) -> None:
    nobody = RANGES[1][1]
    missing: Sequence[Path] = [[b"canister", nobody, b"module_hash"], [b"request_status", b"\0" * 32]]
    seen = verified(probe, probe.replica.certificate(missing, probe.id))
    assert [seen.value(p) for p in missing] == [None, None]


def test_what_was_not_asked_for_is_pruned(probe: Probe) -> None:
    seen = verified(probe, probe.replica.certificate([[b"time"]], probe.id))
    with pytest.raises(Untrusted):
        seen.value(path(probe, b"module_hash"))


def test_an_answered_request_is_certified(probe: Probe) -> None:
    request = probe.submit("who")
    status = [b"request_status", request, b"status"]
    read = [status[:2]]
    assert verified(probe, probe.replica.certificate(read, probe.id)).value(status) == b"received"
    probe.replica.settle()
    seen = verified(probe, probe.replica.certificate(read, probe.id))
    assert (seen.value(status), seen.value([*status[:2], b"reply"])) == (b"replied", ALICE)


def test_a_rejection_is_certified_with_its_codes(probe: Probe) -> None:
    request = probe.submit("explode")
    probe.replica.settle()
    place = [b"request_status", request]
    seen = verified(probe, probe.replica.certificate([place], probe.id))
    assert seen.value([*place, b"status"]) == b"rejected"
    assert seen.value([*place, b"reject_code"]) == b"\5"
    assert seen.value([*place, b"error_code"]) == b"IC0503"
    assert b"boom" in (seen.value([*place, b"reject_message"]) or b"")


def test_an_old_answer_is_forgotten(probe: Probe) -> None:
    request = probe.submit("who")
    probe.replica.advance(299)
    place = [b"request_status", request, b"status"]
    assert verified(probe, probe.replica.certificate([place], probe.id)).value(place) == b"replied"
    probe.replica.advance(2)
    assert verified(probe, probe.replica.certificate([place], probe.id)).value(place) is None


def test_a_subnet_speaks_only_for_its_canisters() -> None:
    for form in ("ranges", "sharded"):
        probe = Probe(Replica(clock=ManualClock(), delegated=form))
        raw = probe.query("certificate")
        verified(probe, raw)
        outside = (int.from_bytes(RANGES[1][1][:8], "big") + 1).to_bytes(8, "big") + b"\1\1"
        with pytest.raises(Untrusted):
            verified(probe, probe.replica.certificate([[b"time"]], outside), outside)


def test_the_two_forms_of_a_delegation_are_as_mainnets() -> None:
    for form in ("ranges", "sharded"):
        probe = Probe(Replica(clock=ManualClock(), delegated=form))
        delegation = cbor2.loads(probe.query("certificate"))["delegation"]
        subnet = delegation["subnet_id"]
        voucher = client._Signed.decode(delegation["certificate"], "the delegation").tree
        in_list = hashtree.lookup(voucher, [b"subnet", subnet, b"canister_ranges"])
        in_shards = hashtree.lookup(voucher, [b"canister_ranges", subnet, RANGES[1][0]])
        assert isinstance(in_list, hashtree.Found) == (form == "ranges")
        assert isinstance(in_shards, hashtree.Found) == (form == "sharded")
        assert len(subnet) == 29


# --- who may read what -----------------------------------------------------------------------------------------------


def test_a_request_is_its_senders_to_read(probe: Probe) -> None:
    request = probe.submit("who")
    probe.replica.read_state([[b"request_status", request]], probe.id, ALICE)
    with pytest.raises(Forbidden):
        probe.replica.read_state([[b"request_status", request]], probe.id, BOB)
    probe.replica.read_state([[b"request_status", b"\0" * 32]], probe.id, BOB)


def test_private_metadata_is_the_controllers_to_read() -> None:
    replica = Replica(clock=ManualClock())
    other = replica.create_canister(ALICE)
    replica.install(other, motoko("other"), EMPTY, ALICE)
    public, private = (
        [[b"canister", other, b"metadata", name]] for name in (b"candid:service", b"motoko:stable-types")
    )
    assert b"bump" in replica.read_state(public, other, BOB)
    replica.read_state(private, other, ALICE)
    with pytest.raises(Forbidden):
        replica.read_state(private, other, BOB)


@pytest.mark.parametrize(
    "paths",
    [
        [[]],
        [[b"what"]],
        [[b"canister"]],
        [[b"canister", b"\1", b"secrets"]],
        [[b"canister", b"\1" * 30, b"module_hash"]],
        [[b"request_status", b"short"]],
        [[b"request_status", b"\1" * 32], [b"request_status", b"\2" * 32]],
    ],
)
def test_other_paths_are_refused(paths: list[list[bytes]]) -> None:
    replica = Replica(clock=ManualClock())
    with pytest.raises(BadPath):
        replica.read_state(paths, RANGES[1][0], ALICE)


# --- the tree --------------------------------------------------------------------------------------------------------


def test_a_witness_has_the_roots_digest_whatever_it_shows() -> None:
    tree: Tree = {b"a": {b"x": b"1", b"y": b"2"}, b"b": b"3", b"c": {}, b"d": {b"z": b"4"}}
    whole = digest(witness(tree, [()]))
    for shown in ([], [[b"a"]], [[b"a", b"y"]], [[b"d", b"z"], [b"b"]], [[b"aa"]], [[b"c", b"q"]], [[b"a", b"xx"]]):
        assert digest(witness(tree, shown)) == whole
