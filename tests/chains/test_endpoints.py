"""Which of several nodes is asked, and what becomes of one that is away, slow, behind, forked or asked too much."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.chains import endpoints
from swapd.chains.endpoints import PATIENCE_SECONDS, Endpoints
from swapd.chains.standing import FAILURES, LONGEST_PAUSE, SUCCESSES, Hysteresis, NoAnswer, pause_of
from swapd.errors import Invalid, Rejected, SwapdError, Unavailable, Unknown

LAG = 3


@dataclass
class Node:
    """What a test makes it do: say its name, or raise, or hang."""

    name: str
    error: Exception | None = None
    network: str = "right"
    height: int = 100
    block: str | None = "hash"
    hangs: bool = False
    drips: bool = False
    asked: int = 0
    checked: int = 0
    got: list[str] = field(default_factory=list)

    async def answer(self) -> str:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return self.name

    async def tip(self) -> int:
        await self.answer()
        return self.height

    async def take(self) -> None:
        await self.answer()
        self.got.append("it")


@dataclass
class Group:
    nodes: list[Node]
    endpoints: Endpoints[Node]
    time: list[float]

    async def first(self, **how: object) -> str:
        return await self.endpoints.first(Node.answer, **how)  # type: ignore[arg-type]

    async def every(self) -> set[str]:
        return {name for _, name in await self.endpoints.every(Node.answer, 0.01)}

    async def tips(self) -> list[int]:
        async def block(node: Node, _: int) -> str | None:
            return node.block

        found = await self.endpoints.tips(Node.tip, lambda height: height, block)
        await asyncio.sleep(0)
        return found

    async def rest(self) -> None:
        """Until what goes on behind an answer has ended: those who are not waited for, and probes."""
        await asyncio.gather(*self.endpoints._tasks, return_exceptions=True)

    def well(self) -> set[str]:
        return {line.name.removeprefix("node ") for line in self.endpoints.lines("[x]")[1:] if line.ok}


async def check(node: Node) -> None:
    node.checked += 1
    if node.drips:
        await asyncio.Event().wait()
    if isinstance(node.error, KeyError):
        raise node.error
    if node.network != "right":
        raise Invalid("network", "right", node.network)


def group(number: int = 3, quorum: int = 2) -> Group:
    time = [1000.0]
    nodes = [Node(name) for name in "abcde"[:number]]
    named = [(node.name, node) for node in nodes]
    return Group(nodes, Endpoints("chain", named, quorum, LAG, check, lambda: time[0]), time)


# -- hysteresis --------------------------------------------------------------------------------------------------------


@given(st.lists(st.booleans(), max_size=40))
def test_a_node_changes_sides_only_after_several_in_a_row(notes: list[bool]) -> None:
    health = Hysteresis()
    for number, note in enumerate(notes, 1):
        before = health.good
        health.note(note)
        if health.good != before:
            least = FAILURES if before else SUCCESSES
            assert notes[number - least : number] == [not before] * least


# -- one question ------------------------------------------------------------------------------------------------------


async def test_the_first_is_asked_and_the_next_when_it_does_not_answer() -> None:
    g = group()
    assert await g.first() == "a"
    g.nodes[0].error = NoAnswer("away")
    assert await g.first() == "b"
    assert [node.asked for node in g.nodes] == [2, 1, 0]


async def test_a_node_that_failed_often_is_not_asked_first_any_more() -> None:
    g = group()
    g.nodes[0].error = NoAnswer("away")
    for _ in range(FAILURES + 2):
        await g.first()
    assert g.nodes[0].asked == FAILURES
    assert g.well() == {"b", "c"}


async def test_a_no_is_an_answer_but_never_the_last_word_while_another_can_be_asked() -> None:
    g = group(quorum=1)
    g.nodes[0].error = Rejected("no")
    assert await g.first() == "b"
    for node in g.nodes:
        node.error = Rejected(f"no from {node.name}")
    with pytest.raises(Rejected, match="no from a"):
        await g.first()


async def test_a_slow_node_holds_nobody_up() -> None:
    g = group()
    g.nodes[0].hangs = True
    async with asyncio.timeout(5):
        assert await g.first(patience=0.01) == "b"


async def test_if_none_answers_each_is_named_and_no_url() -> None:
    g = group(2)
    for node in g.nodes:
        node.error = NoAnswer("away")
    with pytest.raises(Unavailable, match="a: away; b: away"):
        await g.first()
    with pytest.raises(Unavailable, match="a: away; b: away"):
        await g.every()


async def test_a_single_node_is_asked_whatever_it_did() -> None:
    g = group(1, 1)
    g.nodes[0].error = NoAnswer("away")
    for _ in range(FAILURES + 2):
        with pytest.raises(NoAnswer):
            await g.first()
    g.nodes[0].error = None
    assert await g.first() == "a"
    assert g.endpoints.lines("[x]") == []
    assert g.endpoints.doubt == ""


# -- asked too much ----------------------------------------------------------------------------------------------------


async def test_a_node_that_asks_to_be_left_alone_is_for_as_long_as_it_says() -> None:
    g = group()
    g.nodes[0].error = NoAnswer("429", overloaded=True, pause=30)
    assert await g.first() == "b"
    g.nodes[0].error = None
    assert await g.first() == "b"
    assert g.nodes[0].asked == 1
    g.time[0] += 31
    assert await g.first() == "a"


async def test_but_never_longer_than_exits_can_wait() -> None:
    g = group(1, 1)
    g.nodes[0].error = NoAnswer("429", overloaded=True, pause=10**9)
    with pytest.raises(NoAnswer):
        await g.first()
    g.nodes[0].error = None
    with pytest.raises(Unavailable, match="asked too much: asked again in 60 s"):
        await g.first()
    g.time[0] += LONGEST_PAUSE
    assert await g.first() == "a"


async def test_what_is_sent_does_not_wait_for_that() -> None:
    g = group(1, 1)
    g.nodes[0].error = NoAnswer("429", overloaded=True, pause=60)
    with pytest.raises(NoAnswer):
        await g.first()
    g.nodes[0].error = None
    await g.endpoints.hand_in(Node.take)
    assert g.nodes[0].got


async def test_without_a_word_on_how_long_the_pause_grows_from_the_second_time_on() -> None:
    g = group(1, 1)
    g.nodes[0].error = NoAnswer("429", overloaded=True)
    pauses = []
    for _ in range(9):
        with pytest.raises(NoAnswer):
            await g.first()
        pauses.append(g.endpoints._all[0].pause - g.time[0])
        g.time[0] += max(pauses[-1], 0)
    assert pauses == [0, 1, 2, 4, 8, 16, 32, LONGEST_PAUSE, LONGEST_PAUSE]


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), (None, None), ("-1", None), ("soon", None), ("9" * 99, None)]
)
def test_retry_after_is_read_if_it_is_a_number(header: str | None, seconds: float | None) -> None:
    assert pause_of(header) == seconds


# -- all at once -------------------------------------------------------------------------------------------------------


async def test_all_are_heard_and_one_that_hangs_is_waited_for_only_so_long() -> None:
    g = group()
    g.nodes[2].hangs = True
    async with asyncio.timeout(5):
        assert await g.every() == {"a", "b"}
        for _ in range(FAILURES):
            await g.every()
    assert g.well() == {"a", "b"}
    assert g.nodes[2].asked == FAILURES
    assert PATIENCE_SECONDS < 5


async def test_it_is_taken_back_when_it_has_answered_several_times() -> None:
    g = group()
    g.nodes[2].error = NoAnswer("away")
    for _ in range(FAILURES):
        await g.every()
    g.nodes[2].error = None
    seen = []
    for _ in range(SUCCESSES):
        g.time[0] += 10
        await g.tips()
        await g.rest()
        seen.append(g.well())
    assert seen == [{"a", "b"}] * (SUCCESSES - 1) + [{"a", "b", "c"}]


async def test_below_the_quorum_the_others_are_still_heard_and_it_is_said() -> None:
    g = group()
    for node in g.nodes[1:]:
        node.error = NoAnswer("away")
    for _ in range(FAILURES):
        assert await g.every() == {"a"}
    assert g.endpoints.doubt == (
        "2 nodes have to agree before anything new rests on them, and 1 are well (b: away; c: away)"
    )
    assert "c" in {line.name.split()[-1] for line in g.endpoints.lines("[x]") if not line.ok and line.mend}


# -- answers that make no sense, or never end --------------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyError("blocks"), TypeError("5ec2e7"), RecursionError()], ids=repr)
async def test_what_makes_no_sense_is_no_answer_and_keeps_nobody_from_hearing_the_others(error: Exception) -> None:
    g = group()
    g.nodes[1].error = error
    await g.endpoints.start()
    for _ in range(FAILURES):
        assert await g.every() == {"a", "c"}
    assert await g.tips() == [100, 100]
    assert g.well() == {"a", "c"}
    says = next(line.says for line in g.endpoints.lines("[x]") if line.name == "node b")
    assert f"its answer makes no sense ({type(error).__name__}" in says
    assert "5ec2e7" not in says, "its words may hold anything (S9)"


async def test_of_a_single_node_it_is_unavailable_and_after_a_deed_unknown() -> None:
    g = group(1, 1)
    g.nodes[0].error = KeyError("blocks")
    for ask in (g.endpoints.start, g.first, g.every):
        with pytest.raises(Unavailable, match="makes no sense"):
            await ask()
    h = group(1, 1)
    h.nodes[0].error = ValueError()
    with pytest.raises(Unknown, match="makes no sense"):
        await h.endpoints.hand_in(Node.take)


async def test_below_the_quorum_nobody_is_waited_for_without_end() -> None:
    g = group()
    g.nodes[1].hangs = g.nodes[2].hangs = True
    async with asyncio.timeout(5):
        assert await g.every() == {"a"}
        g.nodes[0].hangs = True
        with pytest.raises(Unavailable, match="a: it did not answer in time; b: it did"):
            await g.every()


async def test_the_start_does_not_wait_for_one_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "BELOW_QUORUM", 0.01)
    g = group()
    g.nodes[1].drips = g.nodes[2].drips = True
    async with asyncio.timeout(5):
        await g.endpoints.start()


# -- where they are ----------------------------------------------------------------------------------------------------


async def test_a_node_that_is_behind_is_passed_over_and_its_tip_not_counted() -> None:
    g = group()
    g.nodes[2].height = 100 - LAG - 1
    for _ in range(FAILURES):
        await g.tips()
    assert await g.tips() == [100, 100]
    (line,) = [line for line in g.endpoints.lines("[x]") if line.name == "node c"]
    assert "it is 4 blocks behind the others" in line.says
    g.nodes[2].height = 100
    for _ in range(SUCCESSES):
        await g.tips()
    assert g.well() == {"a", "b", "c"}


async def test_a_node_that_says_it_is_far_ahead_makes_nobody_late() -> None:
    g = group()
    g.nodes[0].height = 10**6
    for _ in range(FAILURES + 1):
        await g.tips()
    assert g.well() == {"a", "b", "c"}


async def test_a_node_that_lags_is_left_out_at_once_and_below_the_quorum_that_is_a_doubt() -> None:
    """Else a swap would be born at its height, and be looked for from there on."""
    g = group()
    g.nodes[2].height = 0
    assert await g.tips() == [100, 100]
    assert g.endpoints.doubt == ""
    two = group(2)
    two.nodes[1].height = 0
    await two.tips()
    assert "b: it is 100 blocks behind" in two.endpoints.doubt


async def test_of_two_that_answer_one_that_says_it_is_far_ahead_sets_no_birth() -> None:
    g = group()
    g.nodes[0].height, g.nodes[2].error = 10**6, NoAnswer("away")
    assert min(await g.tips()) == 100
    g = group(2)
    g.nodes[0].height = 10**6
    assert min(await g.tips()) == 100
    assert g.endpoints.doubt


async def test_a_node_on_another_fork_is_passed_over() -> None:
    g = group()
    g.nodes[1].block = "another"
    for _ in range(FAILURES + 1):
        await g.tips()
    assert g.well() == {"a", "c"}
    assert "another fork" in next(line.says for line in g.endpoints.lines("[x]") if line.name == "node b")


async def test_of_two_forks_without_a_majority_nobody_can_say_which_is_right() -> None:
    g = group(2)
    g.nodes[1].block = "another"
    await g.tips()
    assert g.endpoints.doubt == "the nodes are on different forks, and none of these has most of them"


# -- networks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["a", "bc", "abc"])
async def test_on_another_network_at_the_start_the_preferred_node_or_most_of_them_are_refused_by_name(
    wrong: str,
) -> None:
    g = group()
    for node in g.nodes:
        node.network = "another" if node.name in wrong else "right"
    with pytest.raises(Invalid, match=f"the node at {wrong[0]}"):
        await g.endpoints.start()


async def test_a_single_node_of_another_network_is_refused_at_the_start() -> None:
    g = group(1, 1)
    g.nodes[0].network = "another"
    with pytest.raises(Invalid):
        await g.endpoints.start()


async def test_s8_a_witness_of_another_network_keeps_nobody_down_is_never_asked_and_is_said() -> None:
    g = group()
    g.nodes[1].network = "another"
    await g.endpoints.start()
    assert await g.every() == {"a", "c"}
    assert g.nodes[1].asked == 0
    assert "never asked" in next(line.says for line in g.endpoints.lines("[x]") if line.name == "node b")
    assert g.endpoints.doubt == ""


async def test_if_all_are_refused_that_is_no_answer_and_no_no() -> None:
    g = group(2)
    for node in g.nodes:
        node.network = "another"
    for _ in range(2):
        with pytest.raises(Unavailable, match="network"):
            await g.every()
    with pytest.raises(Unavailable, match="every node is on another network"):
        await g.first()


async def test_a_single_node_is_looked_at_again_after_it_was_away() -> None:
    g = group(1, 1)
    await g.endpoints.start()
    g.nodes[0].error = NoAnswer("away")
    with pytest.raises(NoAnswer):
        await g.first()
    g.nodes[0].error, g.nodes[0].network, before = None, "another", g.nodes[0].asked
    for _ in range(2):
        with pytest.raises(Unavailable, match="no node of this network"):
            await g.first()
        with pytest.raises(Unavailable, match="no node of this network"):
            await g.endpoints.hand_in(Node.take)
    assert g.nodes[0].asked == before
    g.nodes[0].network = "right"
    assert await g.first() == "a"


async def test_one_that_comes_later_is_never_asked() -> None:
    g = group()
    g.nodes[1].network = "another"
    assert await g.every() == {"a", "c"}
    await g.endpoints.hand_in(Node.take)
    await g.rest()
    assert g.nodes[1].asked == 0
    assert g.well() == {"a", "c"}


async def test_one_that_was_away_is_looked_at_again_before_it_is_asked() -> None:
    g = group()
    await g.endpoints.start()
    g.nodes[1].error = NoAnswer("away")
    for _ in range(FAILURES):
        await g.every()
    g.nodes[1].error, g.nodes[1].network, before = None, "another", g.nodes[1].asked
    for _ in range(SUCCESSES):
        g.time[0] += 10
        await g.tips()
        await g.rest()
    assert g.nodes[1].asked == before
    assert "never asked" in next(line.says for line in g.endpoints.lines("[x]") if line.name == "node b")


# -- sending -----------------------------------------------------------------------------------------------------------


async def test_everybody_gets_what_is_sent_and_a_slow_one_holds_nobody_up() -> None:
    g = group()
    g.nodes[0].hangs = True
    g.nodes[1].error = Rejected("no")
    async with asyncio.timeout(5):
        await g.endpoints.hand_in(Node.take)
    assert [node.asked for node in g.nodes] == [1, 1, 1]
    assert [bool(node.got) for node in g.nodes] == [False, False, True]
    await g.endpoints.close()


@pytest.mark.parametrize(
    ("errors", "raised"),
    [
        ((Rejected("no"), Unknown("?"), Unavailable("away")), Unknown),
        ((Rejected("no"), Rejected("no"), Rejected("no")), Rejected),
        ((Unavailable("away"), NoAnswer("away"), Unavailable("away")), Unavailable),
    ],
)
async def test_s10_if_nobody_took_it_the_answer_says_the_least(
    errors: tuple[SwapdError, ...], raised: type[SwapdError]
) -> None:
    g = group()
    for node, error in zip(g.nodes, errors, strict=True):
        node.error = error
    with pytest.raises(raised):
        await g.endpoints.hand_in(Node.take)
