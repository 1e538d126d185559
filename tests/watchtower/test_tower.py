"""What the tower does and when, on two chains that say what they are told to. The real ones: tests/scenarios."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from swapd.chains.base import Fate, TxState
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.observation import ABSENT_VIEW, LegState
from swapd.protocol.terms import Role, SecretHolder, Wallet, swap_id_of
from swapd.watchtower import folder, report
from swapd.watchtower.act import sendable, waits_until
from swapd.watchtower.packet import Known, Packet
from swapd.watchtower.shelf import Shelf
from swapd.watchtower.state import States
from swapd.watchtower.tower import FORGET_AFTER, Tower
from tests.protocol.world import START, make_swap
from tests.watchtower.samples import CLAIMED, LOCKED, PREIMAGE, Ahead, ByHand, Scripted, make_packet, prepared

GRACE = 900
PACKET = make_packet()
T_P = PACKET.terms.participant.terms.timelock
T_I = PACKET.terms.initiator.terms.timelock


class Hill:
    """A tower over the chains "a" and "b", and its clock."""

    def __init__(self, tmp_path: Path, packet: Packet = PACKET, *, grace: int = GRACE, has_gas: bool = True) -> None:
        self.folder, self.grace, self.has_gas = tmp_path, grace, has_gas
        self.packet = packet
        self.now = START
        self.a: Scripted = Scripted("a")
        self.b: Scripted = Scripted("b")
        (tmp_path / "packets").mkdir(exist_ok=True)
        folder.write(tmp_path / "packets", packet)
        self.tower = self.build()

    def build(self) -> Tower:
        return Tower(
            {"a": self.a, "b": self.b},  # type: ignore[dict-item]
            Shelf(self.folder / "packets", self.folder / "own"),
            States(self.folder / "sent"),
            self.grace,
            self.has_gas,
            clock=lambda: self.now,
        )

    async def at(self, now: int) -> None:
        """Time and both chains' clocks are there, and the tower looks."""
        self.now = self.a.time = self.b.time = now
        await self.tower.look()

    def restart(self) -> None:
        self.tower = self.build()


@pytest.fixture
def hill(tmp_path: Path) -> Hill:
    made = Hill(tmp_path)
    made.a.shown = made.b.shown = LOCKED
    return made


async def test_s5_a_refund_goes_out_when_it_is_due_and_the_grace_is_over(hill: Hill) -> None:
    await hill.at(T_P - 1)
    await hill.at(T_P)
    await hill.at(T_P + GRACE - 1)
    assert not hill.b.sent, "swapd has the first go"
    await hill.at(T_P + GRACE)
    assert hill.b.sent == ["refund:participant@3"]
    assert not hill.a.sent, "the other leg is not due"


async def test_s6_a_public_secret_is_used_after_the_grace(hill: Hill) -> None:
    hill.b.shown = CLAIMED
    await hill.at(START + 1)
    assert not hill.a.sent
    await hill.at(START + 1 + GRACE)
    assert hill.a.sent == ["claim:initiator@3"]
    assert hill.a.drafted[-1][1] == PREIMAGE


async def test_s6_a_secret_that_was_seen_once_is_used_though_it_is_gone_and_the_tower_began_anew(hill: Hill) -> None:
    hill.b.shown = replace(CLAIMED, depth=0)  # in a mempool, and then in none
    await hill.at(START + 1)
    hill.b.shown = LOCKED
    hill.restart()
    await hill.at(START + 1 + GRACE)
    assert hill.a.sent == ["claim:initiator@3"]


async def test_a_claim_waits_for_no_more_than_a_quarter_of_what_is_left(hill: Hill) -> None:
    hill.b.shown = CLAIMED
    await hill.at(T_I - 400)
    assert not hill.a.sent
    await hill.at(T_I - 300)
    assert hill.a.sent == ["claim:initiator@3"]


def test_the_grace_of_a_claim_ends_before_its_deadline_and_that_of_a_refund_does_not_depend_on_one() -> None:
    claim, refund = (Effect(kind, Role.INITIATOR, 1_000) for kind in (EffectKind.CLAIM, EffectKind.REFUND))
    assert waits_until(claim, 0, GRACE) == 250
    assert waits_until(claim, 1_000, GRACE) == 1_000, "past its deadline at once"
    assert waits_until(claim, 900, 10) == 910
    assert waits_until(refund, 1_000, GRACE) == 1_900


def test_s2_no_lock_and_no_reveal_is_ever_sent() -> None:
    lock = Effect(EffectKind.LOCK, Role.INITIATOR, 1)
    reveal = Effect(EffectKind.CLAIM, Role.PARTICIPANT, 1, reveals=True)
    kept_up = Effect(EffectKind.CLAIM, Role.PARTICIPANT, 1)
    assert not any(sendable(effect, None) for effect in (lock, reveal, kept_up))
    assert not sendable(lock, PREIMAGE)
    assert not sendable(reveal, PREIMAGE)
    assert sendable(kept_up, PREIMAGE)


async def test_s2_with_our_own_secret_and_both_legs_final_the_tower_shows_nothing(tmp_path: Path) -> None:
    hill = Hill(tmp_path, make_packet(make_swap(SecretHolder.SELF, Wallet.HOT, Wallet.EXTERNAL)), grace=0)
    hill.a.shown = hill.b.shown = LOCKED
    await hill.at(START + 1)
    assert not hill.a.drafted
    assert not hill.b.drafted


async def test_s6_never_both_sides_what_pays_for_our_own_leg_is_not_given_back_before_it(tmp_path: Path) -> None:
    hill = Hill(tmp_path, make_packet(make_swap(SecretHolder.SELF, Wallet.HOT, Wallet.EXTERNAL)), grace=0)
    hill.a.shown = hill.b.shown = LOCKED  # swapd may have shown the secret before it burned
    await hill.at(T_P + 1)
    assert not hill.b.sent, "our own leg can still be claimed"
    await hill.at(T_I + 1)
    assert hill.a.sent == ["refund:initiator@3"]
    assert not hill.b.sent


async def test_s6_never_both_sides_a_final_claim_for_us_ends_our_own_refund(tmp_path: Path) -> None:
    hill = Hill(tmp_path, make_packet(known=Known(claim_final=(Role.INITIATOR,))), grace=0)
    hill.a.away, hill.b.shown = True, LOCKED  # its chain can not be asked; the packet knows
    await hill.at(T_P + 1)
    assert not hill.b.sent


async def test_s8_one_chain_away_stops_nothing_on_the_other(hill: Hill) -> None:
    hill.a.away = True
    await hill.at(T_P)
    await hill.at(T_P + GRACE)
    assert hill.b.sent == ["refund:participant@3"]
    assert "a is away" in hill.tower.standings[PACKET.id].trouble[0]


async def test_a_chain_that_was_away_for_a_while_does_not_begin_the_grace_anew(hill: Hill) -> None:
    await hill.at(T_P)
    hill.b.away = True
    await hill.at(T_P + 100)
    hill.b.away = False
    await hill.at(T_P + GRACE)
    assert hill.b.sent == ["refund:participant@3"]


async def test_what_is_not_looked_for_yet_is_not_absent(hill: Hill) -> None:
    hill.b.away = True
    await hill.at(T_P)
    hill.b.away = False
    assert hill.tower.standings[PACKET.id].views[Role.PARTICIPANT].state is LegState.UNKNOWN
    hill.b.unread = True
    await hill.at(T_P)
    assert hill.tower.standings[PACKET.id].views[Role.PARTICIPANT].state is LegState.UNKNOWN
    hill.b.unread = False
    await hill.at(T_P)
    assert hill.b.told == 1, "from its birth, once"
    assert hill.tower.standings[PACKET.id].views[Role.PARTICIPANT] == LOCKED


async def test_a_leg_of_another_contract_is_not_looked_at(tmp_path: Path) -> None:
    packet = make_packet()
    hill = Hill(tmp_path, replace(packet, participant=replace(packet.participant, fingerprint="elsewhere")), grace=0)
    hill.a.shown = hill.b.shown = LOCKED
    await hill.at(T_P + 1)
    assert not hill.b.sent
    assert "another contract" in hill.tower.standings[PACKET.id].trouble[0]


# -- what was sent


async def test_s10_what_was_sent_is_followed_over_a_restart_and_not_sent_twice(hill: Hill) -> None:
    hill.grace = 0
    hill.restart()
    await hill.at(T_P + 1)
    hill.restart()
    await hill.at(T_P + 2)
    assert hill.b.drafted[-1][2] == ["refund:participant@3"], "the adapter decides whether to replace it"
    assert hill.b.sent == ["refund:participant@3"]


async def test_s10_what_the_network_does_not_know_is_sent_again(hill: Hill) -> None:
    hill.grace = 0
    hill.restart()
    await hill.at(T_P + 1)
    hill.b.fates["refund:participant@3"] = Fate(TxState.MISSING)
    await hill.at(T_P + 2)
    assert hill.b.sent == ["refund:participant@3"] * 2


async def test_two_swaps_take_two_nonces_one_after_the_other(hill: Hill) -> None:
    hill.grace = 0
    hill.restart()
    folder.write(hill.folder / "packets", _another(PACKET))
    await hill.at(T_P + 1)
    assert hill.b.sent == ["refund:participant@3", "refund:participant@4"], (
        "though the node does not count the first yet"
    )
    hill.restart()
    assert hill.tower.states.next_sequence("b") == 5
    assert hill.tower.states.next_sequence("a") == 0


def _another(packet: Packet, earlier: int = 0) -> Packet:
    """The same swap with another hashlock, its timelocks so many seconds earlier."""
    hashlock = bytes(32)
    first, second = (
        replace(leg, terms=replace(leg.terms, hashlock=hashlock, timelock=leg.terms.timelock - earlier))
        for leg in packet.terms.legs
    )
    terms = replace(packet.terms, swap_id=swap_id_of(hashlock), initiator=first, participant=second)
    return replace(packet, terms=terms)


async def test_what_is_not_wanted_any_more_gives_its_nonce_back(hill: Hill) -> None:
    hill.grace = 0
    hill.restart()
    await hill.at(T_P + 1)
    hill.b.shown = replace(CLAIMED, depth=1)  # the claim was faster, and our refund hangs
    await hill.at(T_P + 2)
    assert hill.b.sent == ["refund:participant@3", "void@3"]
    hill.b.fates |= {"refund:participant@3": Fate(TxState.REPLACED), "void@3": Fate(TxState.MINED, 1)}
    await hill.at(T_P + 3)
    assert not [sent for sent in hill.tower.states[PACKET.id].sent if sent.chain == "b"]


async def test_not_to_see_a_leg_takes_nothing_back(hill: Hill) -> None:
    hill.grace = 0
    hill.restart()
    await hill.at(T_P + 1)
    hill.b.away = True
    await hill.at(T_P + 2)
    assert hill.b.voids == 0
    assert hill.tower.states[PACKET.id].of("refund:participant")


async def two_in_line(hill: Hill) -> Packet:
    """Refunds of two swaps on one account, the first at the first place; and nobody can see its leg any more."""
    hill.grace = 0
    hill.restart()
    other = _another(PACKET)
    folder.write(hill.folder / "packets", other)
    await hill.at(T_P + 1)
    first, second = hill.b.sent
    assert (first, second) == ("refund:participant@3", "refund:participant@4")
    mine = next(each for each in (PACKET, other) if hill.tower.states[each.id].places("refund:participant") == [3])
    hill.b.hidden = {mine.terms.participant.terms.hashlock}
    return mine


async def test_what_can_not_be_seen_is_sent_again_where_others_wait_behind_it(hill: Hill) -> None:
    mine = await two_in_line(hill)
    hill.b.fates["refund:participant@3"] = Fate(TxState.MISSING)
    await hill.at(T_P + 2)
    assert hill.b.sent[2:] == ["refund:participant@3"]
    assert hill.b.voids == 0
    assert hill.tower.states[mine.id].of("refund:participant")


async def test_what_can_not_be_seen_and_is_not_taken_any_more_gives_its_place_to_those_behind(hill: Hill) -> None:
    await two_in_line(hill)
    hill.b.fates["refund:participant@3"] = Fate(TxState.MISSING)
    hill.b.refused = {"refund:participant@3"}
    await hill.at(T_P + 2)
    assert hill.b.sent[2:] == ["void@3"]


async def test_who_stands_in_line_pays_for_the_most_urgent_behind_it_and_for_nobody_before_it(hill: Hill) -> None:
    hill.grace = 0
    hill.restart()
    urgent = _another(PACKET, earlier=100)
    folder.write(hill.folder / "packets", urgent)
    hill.b.rejects = {urgent.terms.participant.terms.hashlock}
    await hill.at(T_P + 1)
    assert [effect.deadline for effect, *_ in hill.b.drafted] == [T_P - 100, T_P]
    assert hill.b.sent == ["refund:participant@3"], "the other one can not be sent at all"
    await hill.at(T_P + 2)
    assert hill.b.drafted[-1][0].deadline == T_P, "it holds nobody up"
    hill.b.rejects = set()
    await hill.at(T_P + 3)
    await hill.at(T_P + 4)
    assert [effect.deadline for effect, *_ in hill.b.drafted[-2:]] == [T_P - 100] * 2


async def test_s8_one_leg_that_can_not_be_asked_about_keeps_no_other_waiting(hill: Hill) -> None:
    hill.grace = 0
    hill.restart()
    urgent = _another(PACKET, earlier=100)
    folder.write(hill.folder / "packets", urgent)
    hill.b.silent = {urgent.terms.participant.terms.hashlock}
    await hill.at(T_P + 1)
    assert hill.b.sent == ["refund:participant@3"]


async def test_a_damaged_state_file_is_begun_anew(hill: Hill) -> None:
    hill.grace = 0
    hill.restart()
    await hill.at(T_P + 1)
    (hill.folder / "sent" / f"{PACKET.id}.json").write_text("{")
    hill.restart()
    await hill.at(T_P + 2)
    assert len(hill.b.sent) == 2, "to send it again does no harm"


async def test_nothing_is_sent_that_could_not_be_written_down(hill: Hill) -> None:
    hill.grace = 0
    hill.restart()
    await hill.at(T_P - 1)
    hill.tower.states.folder = hill.folder / "gone"
    await hill.at(T_P + 1)
    assert not hill.b.sent
    assert any("could not be written" in why or "folder" in why for why in hill.tower.troubles.values())


# -- signed ahead, by hand


async def test_what_was_signed_ahead_is_sent(tmp_path: Path) -> None:
    hill = Hill(tmp_path, make_packet(ahead=[prepared(EffectKind.REFUND, 1)]), grace=0)
    hill.b = Ahead("b", LOCKED)
    hill.restart()
    await hill.at(T_P + 1)
    assert hill.b.sent == ["refund1"]


async def test_without_gas_a_person_is_told_what_to_send(tmp_path: Path) -> None:
    hill = Hill(tmp_path, grace=0, has_gas=False)
    hill.b = ByHand("b", LOCKED)
    hill.restart()
    await hill.at(T_P + 1)
    assert not hill.b.sent
    assert "call refund with nothing" in hill.tower.troubles[f"{PACKET.id} refund:participant"]
    await hill.tower.examine()
    assert "b balance" not in hill.tower.troubles, "nobody has to fund what is not used"


async def test_that_gas_is_missing_is_told(hill: Hill) -> None:
    await hill.tower.examine()
    assert "send some" in hill.tower.troubles["b balance"]


# -- the end


async def test_a_swap_that_is_over_is_put_away_and_nothing_of_it_is_kept(hill: Hill) -> None:
    await hill.at(START + 1)
    hill.a.shown = hill.b.shown = CLAIMED
    await hill.at(START + 2)
    await hill.at(START + 3)
    assert hill.tower.standings == {}
    assert not list((hill.folder / "own").iterdir())
    assert not list((hill.folder / "sent").iterdir())


async def test_a_packet_of_long_ago_is_not_looked_at(hill: Hill) -> None:
    hill.a.shown = hill.b.shown = ABSENT_VIEW
    await hill.at(T_I + FORGET_AFTER + 1)
    assert hill.b.told == 0


async def test_a_mistake_of_ours_in_one_packet_keeps_nobody_from_the_others(
    hill: Hill, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("swapd.watchtower.tower.decide", broken)
    await hill.at(START + 1)
    assert hill.tower.troubles[PACKET.id] == "ZeroDivisionError, a mistake of swapd's own"


# -- check


async def test_check_says_what_can_be_done_and_what_not(tmp_path: Path) -> None:
    hill = Hill(tmp_path, make_packet(ahead=[prepared(EffectKind.REFUND, 1), prepared(EffectKind.REFUND, 8)]))
    hill.a, hill.b = Scripted("a", LOCKED), Ahead("b", LOCKED)
    hill.restart()
    await hill.at(START + 1)
    said = "\n".join(
        words for _, words in report.lines(hill.tower.standings[PACKET.id], hill.tower.chains, has_gas=True)
    )
    assert "initiator leg on a, locked: claim by the tower itself" in said
    assert "refund signed ahead, 2 times for a rate from 1 to 8" in said
    assert "no claim was signed ahead for lock:0: this takes a newer packet" in said
