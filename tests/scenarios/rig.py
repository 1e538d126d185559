"""Two houses on two or three chains: `house` is the swapd under test, `other` trades with it.

By its own swapd, or by hand.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from eth_utils.address import to_checksum_address

from swapd.coordinator import agree
from swapd.devnet.icp_world import IcpWorld
from swapd.devnet.money import Account
from swapd.protocol.status import Status
from swapd.protocol.terms import Leg, SwapTerms, Wallet
from swapd.store.codec import decode, encode
from tests.scenarios.books import Books, Gains
from tests.scenarios.chains import Chains
from tests.scenarios.side import START_SATOSHI, START_WEI, Side, settle

SATOSHI = 1_000_000
WEI = 5 * 10**17
E8S = 7 * 10**8
AMOUNTS = {"BTC": SATOSHI, "ETH": WEI, "ICP": E8S, "TOK": 7_000_000}
CHAIN = {"BTC": "bitcoin", "ETH": "ethereum", "ICP": "icp", "TOK": "icp"}
ENOUGH_BLOCKS = 12
"""More than any swap needs from one thing to the next, when nothing has to wait for a timelock."""


@dataclass(frozen=True)
class Direction:
    """What the initiator gives and gets."""

    give: str
    get: str

    def __str__(self) -> str:
        return f"{self.give}_to_{self.get}".lower()


DIRECTIONS = (Direction("BTC", "ETH"), Direction("ETH", "BTC"))
PAIRS = tuple(Direction(give, get) for give, get in permutations(("BTC", "ETH", "ICP"), 2))
"""All that there are; for a rig on three chains."""


@dataclass
class Rig:
    chains: Chains
    direction: Direction
    folder: Path
    house: Side
    other: Side
    books: Books
    done: bool = False

    def account(self, side: Side) -> Account:
        return next(account for account in self.books.accounts if account.name == side.name)

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.house, self.other

    # -- agreeing --------------------------------------------------------------------------------------------------

    async def offer(self, initiator: Side, participant: Side) -> tuple[SwapTerms, int]:
        """The participant reserves keys, the initiator makes terms with them. Returns them and the participant's
        index."""
        give, get = self.direction.give, self.direction.get
        index, receiver, sender = await agree.reserve_keys(participant.house, CHAIN[give], CHAIN[get])
        request = agree.Request(
            give=give,
            give_amount=AMOUNTS[give],
            get=get,
            get_amount=AMOUNTS[get],
            initiator=agree.Side(Wallet.HOT),
            participant=agree.Side(Wallet.EXTERNAL, sender.identity, receiver.identity, claims_itself=True),
        )
        return await agree.create(initiator.house, request, "operator"), index

    async def agreed(self, initiator: Side, participant: Side) -> SwapTerms:
        """The initiator's terms, which went to the participant as JSON and were accepted there."""
        terms, index = await self.offer(initiator, participant)
        sent = decode(SwapTerms, json.loads(json.dumps(encode(terms))))
        await agree.accept(participant.house, sent, index, "operator")
        return terms

    # -- time ------------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        await settle(*self.sides)

    async def block(self, count: int = 1) -> None:
        """A block on each chain that has blocks, a minute, and everybody looks."""
        for _ in range(count):
            await self.chains.blocks()
            await self.settle()

    async def time_is(self, unix_seconds: int) -> None:
        await self.chains.time_is(unix_seconds)
        await self.settle()

    async def until(self, side: Side, swap_id: str, *statuses: Status, blocks: int = ENOUGH_BLOCKS) -> None:
        """Let blocks come until the swap has one of these statuses; fails if it has not within so many."""
        for _ in range(blocks):
            if await side.status(swap_id) in statuses:
                return
            await self.block()
        row = await side.row(swap_id)
        assert row.status in statuses, f"{side.name}: {row.status.value}: {row.note} ({row.reason})"

    async def until_over(
        self, swap_id: str, *statuses: Status, sides: tuple[Side, ...] | None = None, blocks: int = ENOUGH_BLOCKS
    ) -> None:
        """Until each of these sides has ended the swap this way, and nothing of it is left to send."""
        for side in sides or self.sides:
            await self.until(side, swap_id, *statuses, blocks=blocks)
        await self.block(2)
        for side in sides or self.sides:
            assert await side.status(swap_id) in statuses
            async with side.house.store.read() as reading:
                assert swap_id not in await reading.unfinished()

    # -- people with wallets of their own --------------------------------------------------------------------------

    async def person(self, name: str) -> Account:
        """Somebody with money on both chains and no swapd. Counting begins anew: call it before anything is agreed."""
        wallet = await self.chains.bitcoind.create_wallet(f"{name}-{secrets.token_hex(4)}")
        target = await self.chains.bitcoind.rpc("getnewaddress", "", "bech32", wallet=wallet)
        await self.chains.bitcoind.fund(target, START_SATOSHI)
        address = to_checksum_address(secrets.token_bytes(20))
        await self.chains.anvil.set_balance(address, START_WEI)
        account = Account(name, {"bitcoin": wallet, "ethereum": address})
        self.books.accounts.append(account)
        await self.books.open()
        return account

    async def pay(self, payer: Account, address: str, amount: str) -> None:
        """Into the mempool: so many BTC, as a wallet's form takes them."""
        txid = await self.chains.bitcoind.rpc("sendtoaddress", address, amount, wallet=payer.at["bitcoin"])
        self.books.payers[txid] = payer.name

    async def call(self, payer: Account, to: str, value: int, data: str) -> str:
        """Into the mempool: a plain transaction with this calldata; its txid. It may be one that will be reverted."""
        sender = payer.at["ethereum"]
        await self.chains.anvil.rpc("anvil_impersonateAccount", sender)
        request = {"from": sender, "to": to, "value": hex(value), "data": data, "gas": hex(500_000)}
        txid: str = await self.chains.anvil.rpc("eth_sendTransaction", request)
        return txid

    async def follow_instructions(self, payer: Account, side: Side, leg: Leg) -> None:
        """Fund an external leg exactly as its owner is told to, by an ordinary wallet."""
        fields = side.house.chain(leg.terms.chain).instructions(leg).fields
        if leg.terms.chain == "bitcoin":
            await self.pay(payer, fields["address"], fields["amount"])
        else:
            assert fields["from"] == payer.at["ethereum"]
            await self.call(payer, fields["contract"], int(fields["value_wei"]), fields["calldata"])

    # -- the end ---------------------------------------------------------------------------------------------------

    async def accounts_balance(self, *, locks: int = 1) -> Gains:
        """See `Books.close`. Every scenario ends with it."""
        gains = await self.books.close([side for side in self.sides if side.running], locks=locks)
        self.done = True
        return gains

    def traded(self, initiator: Side, participant: Side) -> Gains:
        """What a completed swap must have brought."""
        give, get = self.direction.give, self.direction.get
        nothing = dict.fromkeys(self.books.symbols, 0)
        return {
            initiator.name: nothing | {give: -AMOUNTS[give], get: AMOUNTS[get]},
            participant.name: nothing | {give: AMOUNTS[give], get: -AMOUNTS[get]},
        }

    @property
    def nothing(self) -> Gains:
        return {account.name: dict.fromkeys(self.books.symbols, 0) for account in self.books.accounts}


@asynccontextmanager
async def new_rig(
    chains: Chains,
    direction: Direction,
    folder: Path,
    world: IcpWorld | None = None,
    more: Mapping[str, str] | None = None,
) -> AsyncIterator[Rig]:
    """Both sides funded and open, daemons started, nothing agreed. world: of the third chain, if there is one. more:
    settings of both besides."""
    tag = secrets.token_hex(4)
    house, other = (Side(name, f"{name}-{tag}", folder, chains, world) for name in ("house", "other"))
    for side in (house, other):
        side.more.update(more or {})
    accounts: list[Account] = [await side.found() for side in (house, other)]
    await chains.time_is(chains.now + 60)
    rig = Rig(chains, direction, folder, house, other, Books(chains, chains.coins(world), accounts))
    try:
        for side in rig.sides:
            await side.start()
        await rig.books.open()
        yield rig
    finally:
        for side in rig.sides:
            await side.stop()
        for account in rig.books.accounts:  # else the node would load them all at its next start
            await chains.bitcoind.rpc("unloadwallet", account.at["bitcoin"], False)
