"""One chain through three nodes: the first has the wallet, the others are witnesses, any of them may be in trouble."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest

from swapd.chains.base import SightingKind, SignedTx, TxState
from swapd.chains.bitcoin import BitcoinChain
from swapd.chains.standing import FAILURES
from swapd.errors import Invalid, Unavailable
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from tests.chains.bitcoin.conftest import World, settings_for
from tests.chains.ethereum.proxy import KEY, Proxy, changed, cut, error, garbage, hang_up, result, status

CLAIM = EffectKind.CLAIM
SIGNED = SignedTx("00" * 32, b"", 0, 1)
WALLET_WORDS = ("wallet", "psbt", "unspent", "newaddress", "gettransaction")


@dataclass
class Several:
    world: World
    nodes: list[Proxy]


@pytest.fixture
async def three(world: World) -> AsyncIterator[Several]:
    """Of which two have to agree; all of them are proxies before one node."""
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(Proxy(world.node.rpc_url)) for _ in range(3)]
        chain = BitcoinChain(
            settings_for(
                world.node,
                world.wallet,
                rpc_url=nodes[0].url,
                more_rpc_urls=tuple(node.url for node in nodes[1:]),
                more_rpc_cookie_files=(world.node.cookie_file,) * 2,
                quorum=2,
                timeout_seconds=5,
            ),
            world.vault,
        )
        stack.push_async_callback(chain.close)
        yield Several(replace(world, chain=chain), nodes)


@pytest.mark.parametrize("fault", ["dead", cut, hang_up, garbage, status(503), status(429)])
@pytest.mark.parametrize("place", [0, 2], ids=["first", "last"])
async def test_a_leg_is_seen_and_claimed_with_one_of_three_nodes_in_trouble(
    three: Several, fault: object, place: int
) -> None:
    """Be it the one with the wallet: a claim needs none."""
    world, node = three.world, three.nodes[place]
    if fault == "dead":
        node.dead = True
    else:
        node.always = fault  # type: ignore[assignment]
    leg = await world.leg()
    await world.pay(leg)
    seen = await world.seen(leg)
    view = await world.chain.view(seen)
    assert (view.state, view.depth, view.doubt) == (LegState.LOCKED, 1, "")
    claim = await world.send(CLAIM, seen)
    await world.node.mine(1)
    assert (await world.chain.fate(claim)).state is TxState.MINED
    assert (await world.view(seen)).state is LegState.CLAIMED


async def test_s7_a_lock_that_one_of_three_hides_is_there_and_one_that_two_hide_is_not_final(three: Several) -> None:
    world = three.world
    leg = await world.leg()
    await world.pay(leg)
    seen = await world.seen(leg)
    three.nodes[0].instead["gettxout"] = result(None)
    assert (await world.chain.view(seen)).depth == 1
    three.nodes[1].dead = True
    view = await world.chain.view(seen)
    assert (view.state, view.depth, bool(view.doubt)) == (LegState.LOCKED, 0, True)


async def test_s10_a_claim_that_only_one_node_knows_is_sent_again(three: Several) -> None:
    world = three.world
    leg = await world.leg()
    await world.pay(leg)
    seen = await world.seen(leg)
    claim = await world.send(CLAIM, seen)
    for node in three.nodes[1:]:
        node.instead["getrawtransaction"] = error(-5, "No such mempool or blockchain transaction.")
    assert (await world.chain.fate(claim)).state is TxState.MISSING
    for node in three.nodes:
        node.instead.clear()
    assert (await world.chain.fate(claim)).state is TxState.PENDING


async def test_no_witness_is_asked_about_a_wallet(three: Several) -> None:
    await three.world.chain.start()
    await three.world.chain.resume([])
    leg = await three.world.seen(await three.world.leg())
    await three.world.chain.view(leg)
    await three.world.chain.examine()
    await three.world.chain.balances()
    asked = {method for node in three.nodes[1:] for method in node.calls}
    assert asked
    assert not [method for method in asked if any(word in method for word in WALLET_WORDS)]


PRUNED = error(-1, "Block not available (pruned data)")


async def test_a_node_that_has_pruned_what_is_needed_says_so_and_another_is_asked(three: Several, world: World) -> None:
    """The leg was claimed while nobody watched: which transaction it was stands in a block that is gone."""
    leg = await world.leg()
    await world.pay(leg)
    locked = await world.seen(leg)
    claim = await world.send(CLAIM, locked)
    await world.node.mine(1)
    three.nodes[0].instead["getblock"] = PRUNED
    view = await three.world.chain.view(locked)
    assert (view.state, view.spend_txid, view.doubt) == (LegState.CLAIMED, claim.txid, "")
    for node in three.nodes[1:]:
        node.instead["getblock"] = PRUNED
    three.world.chain._endpoints.nodes[1].look.search._found.clear()
    three.world.chain._endpoints.nodes[2].look.search._found.clear()
    with pytest.raises(Unavailable, match="thrown away a block that is needed"):
        await three.world.chain.view(locked)


ANOTHER = changed(lambda info: {**info, "chain": "main"})


async def test_s8_a_witness_of_another_network_is_never_asked_and_keeps_nobody_down(three: Several) -> None:
    three.nodes[2].instead["getblockchaininfo"] = ANOTHER
    await three.world.chain.start()
    leg = await three.world.seen(await three.world.locked())
    assert (await three.world.chain.view(leg)).state is LegState.LOCKED
    assert three.nodes[2].calls["gettxout"] == three.nodes[2].calls["sendrawtransaction"] == 0
    line = next(line for line in await three.world.chain.examine() if line.name == "node more_rpc_urls 2")
    assert not line.ok
    assert "never asked" in line.says


@pytest.mark.parametrize(("wrong", "name"), [((0,), "rpc_url"), ((1, 2), "more_rpc_urls 1")])
async def test_the_wallets_node_or_most_of_them_on_another_network_are_refused_at_the_start_by_name(
    three: Several, wrong: tuple[int, ...], name: str
) -> None:
    for place in wrong:
        three.nodes[place].instead["getblockchaininfo"] = ANOTHER
    with pytest.raises(Invalid, match=f"main .the node at {name}") as caught:
        await three.world.chain.start()
    assert KEY not in str(caught.value)


async def test_a_wallets_node_that_comes_back_on_another_network_makes_no_lock(three: Several) -> None:
    three.nodes[0].dead = True
    await three.world.chain.start()
    three.nodes[0].dead = False
    three.nodes[0].instead["getblockchaininfo"] = ANOTHER
    await three.world.chain.clock()
    for what in (three.world.draft(EffectKind.LOCK, await three.world.leg()), three.world.chain.balances()):
        with pytest.raises(Unavailable, match="the node with the wallet: it is never asked"):
            await what


NONSENSE: dict[str, dict[str, Any]] = {
    "no fields": {"getblockchaininfo": result({}), "getblockhash": result(7), "gettxout": result({"value": "x"})},
    "other types": {
        "getblockchaininfo": changed(lambda info: {**info, "blocks": "high", "mediantime": [1], "time": None}),
        "gettxout": changed(lambda out: out and {**out, "confirmations": "many"}),
        "gettxspendingprevout": result([{"spendingtxid": ["x"]}]),
        "getblock": result("00" * 80),
        "getrawmempool": result(["zz", 3]),
        "getrawtransaction": result("not hex"),
    },
    "nothing but numbers": dict.fromkeys(
        ("getblockchaininfo", "getblockhash", "getblock", "gettxout", "getrawmempool", "estimatesmartfee"), result(1)
    ),
}


@pytest.mark.parametrize("late", [False, True], ids=["from the start", "later"])
@pytest.mark.parametrize("nonsense", NONSENSE)
async def test_answers_of_a_witness_that_make_no_sense_keep_nobody_from_hearing_the_others(
    three: Several, nonsense: str, late: bool
) -> None:
    world, chain = three.world, three.world.chain
    if late:
        await chain.start()
    three.nodes[1].instead |= NONSENSE[nonsense]
    await chain.start()
    leg = await world.leg()
    cursor = (await chain.scan(None, [leg])).cursor
    await world.pay(leg)
    assert (await chain.clock()).tip.height == (await world.node.best())[0]
    assert [s.kind for s in (await chain.scan(cursor, [leg])).sightings] == [SightingKind.LOCK]
    seen = await world.seen(leg)
    assert ((await chain.view(seen)).state, (await chain.view(seen)).depth) == (LegState.LOCKED, 1)
    claim = await world.send(CLAIM, seen)
    assert (await chain.fate(claim)).state is TxState.PENDING
    await world.node.mine(1)
    assert (await world.view(seen)).state is LegState.CLAIMED


async def test_of_a_single_node_they_are_unavailable(world: World) -> None:
    async with Proxy(world.node.rpc_url) as node:
        chain = BitcoinChain(settings_for(world.node, world.wallet, rpc_url=node.url), world.vault)
        node.instead["getblockchaininfo"] = result({})
        for ask in (chain.start, chain.clock):
            with pytest.raises(Unavailable, match="makes no sense"):
                await ask()
        assert KEY not in repr(await chain.examine(int(time.time())))
        await chain.close()


async def test_s7_a_witness_that_invents_a_reorganisation_and_locks_hides_nothing(three: Several) -> None:
    world, chain = three.world, three.world.chain
    leg = await world.leg()
    cursor = (await chain.scan(None, [leg])).cursor
    await world.pay(leg)
    scan = await chain.scan(cursor, [leg])
    leg = replace(leg, sightings=scan.sightings)
    three.nodes[0].instead["getblockhash"] = result("ab" * 32)
    three.nodes[0].instead["getblockchaininfo"] = changed(lambda info: {**info, "bestblockhash": "ab" * 32})
    await world.node.mine(1)
    assert (await chain.scan(scan.cursor, [leg])).fork is None
    view = await chain.view(leg)
    assert (view.state, view.depth, view.doubt) == (LegState.LOCKED, 2, "")


async def test_a_witness_that_is_not_synced_sets_nobodys_birth(three: Several) -> None:
    three.nodes[1].instead["getblockchaininfo"] = changed(lambda info: {**info, "blocks": 0})
    assert (await three.world.chain.clock()).tip.height == (await three.world.node.best())[0]


async def test_without_the_wallets_node_it_starts_and_what_is_reserved_is_reserved_when_it_is_back(
    three: Several,
) -> None:
    coin = (await three.world.node.rpc("listunspent", wallet=three.world.wallet))[0]
    three.nodes[0].dead = True
    await three.world.chain.start()
    lock = replace(SIGNED, spends=(f"{coin['txid']}:{coin['vout']}",))
    await three.world.chain.resume([lock])
    assert not await three.world.node.rpc("listlockunspent", wallet=three.world.wallet)
    three.nodes[0].dead = False
    await three.world.send(EffectKind.LOCK, await three.world.leg())
    reserved = await three.world.node.rpc("listlockunspent", wallet=three.world.wallet)
    assert {"txid": coin["txid"], "vout": coin["vout"]} in reserved


async def test_an_operator_sees_each_node_and_the_quorum(three: Several) -> None:
    three.nodes[1].dead = three.nodes[2].dead = True
    for _ in range(FAILURES):
        await three.world.chain.clock()
    assert "2 nodes have to agree" in (await three.world.chain.clock()).doubt
    found = {line.name: line for line in await three.world.chain.examine()}
    assert [found[f"node {name}"].ok for name in ("rpc_url", "more_rpc_urls 1", "more_rpc_urls 2")] == [
        True,
        False,
        False,
    ]
    assert not found["quorum"].ok


@pytest.mark.parametrize(
    "wrong",
    [
        {"quorum": 0},
        {"quorum": 2},
        {"more_rpc_urls": ("http://localhost:1",)},
        {"more_rpc_urls": ("http://user:pw@localhost:1",), "more_rpc_cookie_files": ("/cookie",)},
        {"more_rpc_urls": ("localhost:1",), "more_rpc_cookie_files": ("/cookie",)},
        {"more_rpc_urls": ("http://localhost:1",), "more_rpc_cookie_files": ("cookie",)},
        {"more_rpc_urls": ("http://localhost:1",) * 2, "more_rpc_cookie_files": ("/a", "/b")},
    ],
    ids=str,
)
def test_settings_that_can_not_be_right_are_refused(world: World, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="1 validation error"):
        settings_for(world.node, "wallet", **wrong)
