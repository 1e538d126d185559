"""One chain through three nodes of which some are dead, slow, behind, lying, asked too much or on another network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from swapd.chains.base import Fate, SightingKind, TxState
from swapd.chains.endpoints import PATIENCE_SECONDS
from swapd.chains.ethereum import rpc
from swapd.chains.ethereum.chain import LAG_BLOCKS
from swapd.chains.standing import FAILURES
from swapd.devnet.anvil import Anvil
from swapd.errors import Invalid, Rejected, Unavailable, Unknown
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from tests.chains.ethereum.proxy import KEY, Proxy, changed, cut, error, garbage, hang_up, result, silence, status
from tests.chains.ethereum.world import GWEI, PREIMAGE, World

LOCK, CLAIM, REFUND = EffectKind.LOCK, EffectKind.CLAIM, EffectKind.REFUND
TIMEOUT = 5.0  # a busy machine must not look like a silent node


@dataclass
class Several:
    """world.chain sees the world through these, which are proxies before its one node."""

    world: World
    nodes: list[Proxy]

    async def lines(self) -> dict[str, tuple[bool, str]]:
        return {line.name: (line.ok, line.says) for line in await self.world.chain.examine()}


@asynccontextmanager
async def several(world: World, number: int, quorum: int) -> AsyncIterator[Several]:
    async with AsyncExitStack() as stack:
        nodes = [world.proxy]
        nodes += [await stack.enter_async_context(Proxy(world.node.rpc_url)) for _ in range(number - 1)]
        its = {"more_rpc_urls": tuple(node.url for node in nodes[1:]), "quorum": quorum, "timeout_seconds": TIMEOUT}
        chain = await stack.enter_async_context(world.another_chain(**its))
        yield Several(replace(world, chain=chain), nodes)


@pytest.fixture
async def three(world: World) -> AsyncIterator[Several]:
    """Of which two have to agree."""
    async with several(world, 3, 2) as made:
        yield made


@pytest.fixture
async def two(world: World) -> AsyncIterator[Several]:
    """Which have to agree."""
    async with several(world, 2, 2) as made:
        yield made


def frozen(node: Proxy, answers: dict[str, Any]) -> None:
    """It says for ever what it said then."""
    node.instead |= {method: result(answer) for method, answer in answers.items()}


FAULTS = {
    "dead": None,
    "silent": silence,
    "hangs up": hang_up,
    "html": garbage,
    "cut": cut,
    "500": status(500),
    "429": status(429, b"Retry-After: 1\r\n"),
    "lost a block": error(-32000, "header not found"),
}


def break_(node: Proxy, fault: str) -> None:
    if fault == "dead":
        node.dead = True
    else:
        node.always = FAULTS[fault]


# -- a whole leg, with any one node in any trouble ---------------------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", [0, 2], ids=["first", "last"])
async def test_a_leg_is_locked_and_claimed_with_one_of_three_nodes_in_trouble(
    three: Several, fault: str, place: int
) -> None:
    world = three.world
    break_(three.nodes[place], fault)
    leg = world.leg()
    async with asyncio.timeout(60):
        await world.lock(leg)
        await world.node.mine(2)
        view = await world.view(leg)
        assert (view.state, view.depth, view.doubt) == (LegState.LOCKED, 3, "")
        claim = await world.send(CLAIM, leg, secret=PREIMAGE)
        await world.node.mine()
        assert (await world.chain.fate(claim)).state is TxState.MINED
        assert (await world.view(leg)).preimage == PREIMAGE


# -- lies --------------------------------------------------------------------------------------------------------------

NO_LOGS = {"eth_getLogs": result([]), "eth_getStorageAt": result("0x" + "00" * 32)}


async def test_s1_a_lock_that_one_of_two_nodes_hides_is_no_lock_to_build_on_and_no_exit_is_lost(two: Several) -> None:
    world, leg = two.world, two.world.leg()
    await world.lock(leg)
    await world.node.mine(3)
    two.nodes[0].instead |= NO_LOGS
    view = await world.view(leg)
    assert (view.state, view.depth) == (LegState.LOCKED, 0)
    assert "1 says absent" in view.doubt
    two.nodes[0].instead.clear()
    assert (await world.view(leg)).depth == 4


async def test_s7_a_lock_that_one_of_three_hides_is_there(three: Several) -> None:
    world, leg = three.world, three.world.leg()
    await world.lock(leg)
    three.nodes[0].instead |= NO_LOGS
    view = await world.view(leg)
    assert (view.state, view.depth, view.doubt) == (LegState.LOCKED, 1, "")


async def test_s1_what_is_absent_to_the_only_node_that_answers_is_not_known(two: Several) -> None:
    two.nodes[1].dead = True
    view = await two.world.view(two.world.leg())
    assert view.state is LegState.UNKNOWN
    assert "1 says absent" in view.doubt


async def test_s6_a_claim_that_one_node_hides_is_public(two: Several) -> None:
    world, leg = two.world, two.world.leg()
    await world.lock(leg)
    snapshot = {"eth_getLogs": await _logs(world), "eth_getStorageAt": "0x" + (1).to_bytes(32).hex()}
    await world.claim_by(world.bob, leg)
    await world.node.mine()
    frozen(two.nodes[0], snapshot)
    view = await world.view(leg)
    assert view.preimage == PREIMAGE
    assert (view.depth, bool(view.doubt)) == (0, True)


async def _logs(world: World) -> Any:
    return await world.node.rpc("eth_getLogs", {"address": world.htlc.address, "fromBlock": "0x0"})


async def test_s6_what_one_node_has_in_its_mempool_is_a_hint(three: Several) -> None:
    world, leg = three.world, three.world.leg()
    await world.lock(leg)
    await world.claim_by(world.bob, leg)
    for node in three.nodes[:2]:
        node.instead["eth_getBlockByNumber"] = changed(lambda block: {**block, "transactions": []})
    assert (await world.with_mempool(leg)).sightings[0].preimage == PREIMAGE


async def test_s10_a_claim_that_one_node_calls_mined_is_sent_again(three: Several) -> None:
    """Else its fee would not be raised, and nobody would send it any more."""
    world, leg = three.world, three.world.leg()
    lock = await world.lock(leg)
    mined = await world.node.rpc("eth_getTransactionReceipt", lock.txid)
    claim = await world.send(CLAIM, leg, secret=PREIMAGE)
    await world.node.rpc("anvil_dropTransaction", claim.txid)
    three.nodes[0].instead |= {"eth_getTransactionReceipt": result(mined), "eth_getTransactionCount": result("0x99")}
    assert await world.chain.fate(claim) == Fate(TxState.MISSING)
    await world.chain.broadcast(claim)
    await world.node.mine()
    assert (await world.chain.fate(claim)).state is TxState.MINED


async def test_a_nonce_that_one_node_makes_up_leaves_no_gap(three: Several) -> None:
    three.nodes[0].instead["eth_getTransactionCount"] = result("0x99")
    draft = await three.world.draft(LOCK, three.world.leg())
    assert draft is not None
    assert draft.floor < 0x99


async def test_a_price_that_one_node_makes_up_is_not_paid(three: Several) -> None:
    world = three.world
    true = await world.draft(LOCK, world.leg())
    for base_fee in (10**6 * GWEI, 0):
        three.nodes[0].instead["eth_feeHistory"] = changed(
            lambda history, fee=base_fee: {**history, "baseFeePerGas": [hex(fee)] * len(history["baseFeePerGas"])}
        )
        drafted = await world.draft(LOCK, world.leg())
        assert (drafted and drafted.fees) == (true and true.fees)


REVERTED = error(3, "execution reverted")


@pytest.mark.parametrize("lie", ["eth_estimateGas", "eth_getStorageAt", "eth_getBalance"])
async def test_s8_a_claim_that_one_of_two_nodes_says_is_in_vain_goes_on(two: Several, lie: str) -> None:
    world, leg = two.world, two.world.leg()
    await world.lock(leg)
    two.nodes[0].instead[lie] = REVERTED if lie == "eth_estimateGas" else result("0x" + "00" * 32)
    claim = await world.send(CLAIM, leg, secret=PREIMAGE)
    await world.node.mine()
    assert (await world.chain.fate(claim)).state is TxState.PENDING or (await world.view(leg)).preimage == PREIMAGE


async def test_a_claim_that_most_nodes_say_is_in_vain_is_not_sent(three: Several) -> None:
    world, leg = three.world, three.world.leg()
    await world.lock(leg)
    for node in three.nodes[1:]:
        node.instead["eth_estimateGas"] = REVERTED
    with pytest.raises(Rejected, match="reverted"):
        await world.draft(CLAIM, leg, secret=PREIMAGE)


@pytest.mark.parametrize("says", ["reverted", "not locked"])
async def test_s8_with_a_quorum_of_one_a_no_of_the_first_is_not_the_last_word_on_a_claim(
    world: World, says: str
) -> None:
    async with several(world, 2, 1) as two:
        leg = two.world.leg()
        await two.world.lock(leg)
        if says == "reverted":
            two.nodes[0].instead["eth_estimateGas"] = REVERTED
        else:
            two.nodes[0].instead["eth_getStorageAt"] = result("0x" + "00" * 32)
        claim = await two.world.send(CLAIM, leg, secret=PREIMAGE)
        await world.node.mine()
        assert (await two.world.chain.fate(claim)).state is TxState.MINED


@pytest.mark.parametrize("lie", [-10_000, 10_000])
async def test_s2_s3_s5_a_clock_that_one_of_three_makes_up_is_nobodys(three: Several, lie: int) -> None:
    true = await three.world.chain.clock()
    three.nodes[1].instead["eth_getBlockByNumber"] = changed(
        lambda block: {**block, "timestamp": hex(int(block["timestamp"], 16) + lie)}
    )
    assert (await three.world.chain.clock()).time == true.time


async def test_s5_a_clock_that_one_of_two_holds_back_keeps_no_refund_waiting(two: Several) -> None:
    true = await two.world.chain.clock()
    two.nodes[0].instead["eth_getBlockByNumber"] = changed(lambda block: {**block, "timestamp": "0x1"})
    assert (await two.world.chain.clock()).time == true.time


# -- behind, forked, slow, asked too much ------------------------------------------------------------------------------


async def test_a_node_that_stopped_is_passed_over_and_said_to_be_behind(three: Several) -> None:
    world = three.world
    frozen(three.nodes[0], {"eth_getBlockByNumber": await world.node.rpc("eth_getBlockByNumber", "latest", False)})
    await world.node.mine(LAG_BLOCKS + 1)
    for _ in range(FAILURES):
        await world.chain.clock()
    ok, says = (await three.lines())["node rpc_url"]
    assert not ok
    assert f"it is {LAG_BLOCKS + 1} blocks behind the others" in says
    assert (await world.chain.clock()).tip.height == (await world.node.best())[0]
    assert (await world.cursor()).height == (await world.node.best())[0], "and others are scanned"


async def test_a_node_that_is_not_synced_sets_nobodys_birth(three: Several) -> None:
    three.nodes[1].instead["eth_getBlockByNumber"] = changed(lambda block: {**block, "number": "0x0"})
    await three.world.node.mine(LAG_BLOCKS + 1)
    assert (await three.world.chain.clock()).tip.height == (await three.world.node.best())[0]


async def test_an_answer_that_nobody_can_need_is_not_read_to_its_end_and_of_events_a_part_is_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    leg = world.leg()
    await world.lock(leg)
    await world.node.mine(3)
    monkeypatch.setattr(rpc, "MOST_BYTES", 5000)
    world.proxy.instead["eth_getLogs"] = _long_if_many
    assert [s.kind for s in await world.chain.rescan([leg])] == [SightingKind.LOCK]
    world.proxy.instead["eth_getBlockByNumber"] = result("x" * 6000)
    with pytest.raises(Unavailable, match="more than 5000 bytes"):
        await world.chain.clock()


def _long_if_many(params: list[Any], answer: dict[str, Any]) -> dict[str, Any]:
    return answer if params[0]["fromBlock"] == params[0]["toBlock"] else {**answer, "result": "x" * 6000}


async def test_a_node_on_another_fork_is_passed_over(world: World) -> None:
    async with Anvil() as stranger, several(world, 3, 2) as three:
        await stranger.mine((await world.node.best())[0])
        three.nodes[2]._target = stranger.rpc_url
        await world.node.mine(LAG_BLOCKS)
        await stranger.mine(LAG_BLOCKS)
        for _ in range(FAILURES + 1):
            await three.world.chain.clock()
        ok, says = (await three.lines())["node more_rpc_urls 2"]
        assert not ok
        assert "another fork" in says


async def test_a_slow_node_holds_nothing_up(three: Several) -> None:
    three.nodes[0].always = silence
    leg = three.world.leg()
    async with asyncio.timeout(10 * PATIENCE_SECONDS):
        await three.world.lock(leg)
        assert (await three.world.view(leg)).state is LegState.LOCKED


async def test_a_node_that_is_asked_too_much_is_left_alone_for_as_long_as_it_says(world: World) -> None:
    world.proxy.always = status(429, b"Retry-After: 30\r\n")
    with pytest.raises(Unavailable, match="HTTP 429"):
        await world.chain.clock()
    world.proxy.always = None
    asked = world.proxy.calls.total()
    with pytest.raises(Unavailable, match=r"asked again in (30|29) s"):
        await world.view(world.leg())
    assert world.proxy.calls.total() == asked


# -- sending -----------------------------------------------------------------------------------------------------------


async def test_all_nodes_get_what_is_sent_and_one_is_enough(three: Several) -> None:
    three.nodes[0].instead["eth_sendRawTransaction"] = error(-32000, "not today")
    three.nodes[1].dead = True
    tx = await three.world.send(LOCK, three.world.leg())
    assert await three.world.node.rpc("eth_getTransactionByHash", tx.txid) is not None
    assert three.nodes[0].calls["eth_sendRawTransaction"] == three.nodes[2].calls["eth_sendRawTransaction"] == 1


async def test_s10_refused_by_one_and_unanswered_by_another_is_not_known(two: Several) -> None:
    draft = await two.world.draft(LOCK, two.world.leg())
    assert draft is not None
    two.nodes[0].always = error(-32000, "not today")
    two.nodes[1].instead["eth_sendRawTransaction"] = cut
    two.nodes[0].instead["eth_getTransactionByHash"] = result(None)
    with pytest.raises(Unknown):
        await two.world.chain.broadcast(draft.sign(draft.floor))


# -- networks ----------------------------------------------------------------------------------------------------------


async def test_s8_a_witness_of_another_network_is_never_asked_and_keeps_nobody_down(three: Several) -> None:
    three.nodes[1].instead["eth_chainId"] = result("0x5")
    await three.world.chain.start()
    leg = three.world.leg()
    await three.world.lock(leg)
    assert (await three.world.view(leg)).state is LegState.LOCKED
    assert three.nodes[1].calls["eth_getLogs"] == three.nodes[1].calls["eth_sendRawTransaction"] == 0
    ok, says = (await three.lines())["node more_rpc_urls 1"]
    assert not ok
    assert "never asked" in says


@pytest.mark.parametrize(("wrong", "name"), [((0,), "rpc_url"), ((1, 2), "more_rpc_urls 1")])
async def test_the_first_or_most_of_them_on_another_network_are_refused_at_the_start_by_number_and_not_url(
    three: Several, wrong: tuple[int, ...], name: str
) -> None:
    for place in wrong:
        three.nodes[place].instead["eth_chainId"] = result("0x5")
    with pytest.raises(Invalid, match=rf"chains\.ethereum\.chain_id: .* \(the node at {name}\)") as caught:
        await three.world.chain.start()
    assert KEY not in str(caught.value)


async def test_one_that_comes_back_on_another_network_is_never_believed(three: Several) -> None:
    world, leg = three.world, three.world.leg()
    three.nodes[2].dead = True
    await world.chain.start()
    three.nodes[2].dead = False
    three.nodes[2].instead["eth_chainId"] = result("0x5")
    await world.lock(leg)
    assert (await world.view(leg)).state is LegState.LOCKED
    assert three.nodes[2].calls["eth_getLogs"] == three.nodes[2].calls["eth_sendRawTransaction"] == 0
    ok, says = (await three.lines())["node more_rpc_urls 2"]
    assert not ok
    assert "never asked" in says


async def test_the_start_needs_one_node(three: Several) -> None:
    for node in three.nodes[1:]:
        node.dead = True
    await three.world.chain.start()
    three.nodes[0].dead = True
    with pytest.raises(Unavailable):
        await three.world.chain.start()


# -- what an operator sees ---------------------------------------------------------------------------------------------


async def test_each_node_has_a_line_and_the_quorum_one_and_no_key_is_in_any(three: Several) -> None:
    three.nodes[1].dead = three.nodes[2].dead = True
    for _ in range(FAILURES):
        clock = await three.world.chain.clock()
    assert "1 are well" in clock.doubt or "1 are well" in (await three.world.chain.clock()).doubt
    lines = await three.world.chain.examine()
    found = {line.name: line for line in lines}
    assert not found["quorum"].ok
    assert "exits go on" in found["quorum"].mend
    assert [found[f"node {name}"].ok for name in ("rpc_url", "more_rpc_urls 1", "more_rpc_urls 2")] == [
        True,
        False,
        False,
    ]
    assert not [line for line in lines if KEY in repr(line)]
