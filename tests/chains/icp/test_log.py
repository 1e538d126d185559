"""The event log: its hashes are ICRC-3's, and nothing is read from one whose chain breaks."""

from __future__ import annotations

from typing import Any

import pytest

from swapd.chains.icp.canister import LogTip
from swapd.chains.icp.errors import Untrusted
from swapd.chains.icp.log import Log, value_hash


@pytest.mark.parametrize(
    ("value", "digest"),
    [
        # the test vectors of ICRC-3, "Representation-independent hashing"
        ({"Nat": 42}, "684888c0ebb17f374298b65ee2807526c066094c701bcc7ebbe1c1095f494fc1"),
        ({"Int": -42}, "de5a6f78116eca62d7fc5ce159d23ae6b889b365a1739ad2cf36f925a140d0cc"),
        ({"Text": "Hello, World!"}, "dffd6021bb2bd5b0af676290809ec3a53191dd81c7f70a4b28688a362182986f"),
        ({"Blob": b"\x01\x02\x03\x04"}, "9f64a747e1b97f131fabb6b447296c9b6f0201e79fb3c5356e6c77e89b6a806a"),
        (
            {"Array": [{"Nat": 3}, {"Text": "foo"}, {"Blob": b"\x05\x06"}]},
            "514a04011caa503990d446b7dec5d79e19c221ae607fb08b2848c67734d468d6",
        ),
        (
            {
                "Map": [
                    ("from", {"Blob": bytes.fromhex("00abcdef0012340056789a00bcdef000012345678900abcdef01")}),
                    ("to", {"Blob": bytes.fromhex("00ab0def0012340056789a00bcdef000012345678900abcdef01")}),
                    ("amount", {"Nat": 42}),
                    ("created_at", {"Nat": 1699218263}),
                    ("memo", {"Nat": 0}),
                ]
            },
            "c56ece650e1de4269c5bdeff7875949e3e2033f85b2d193c2ff4f7f78bdcfc75",
        ),
    ],
)
def test_values_hash_as_the_standard_says(value: Any, digest: str) -> None:
    assert value_hash(value).hex() == digest


class Pages:
    """A canister's log of some blocks, given out as asked."""

    def __init__(self, blocks: list[Any], most: int = 2) -> None:
        self.given = blocks
        self._most = most

    async def blocks(self, start: int, length: int) -> list[tuple[int, Any]]:
        return list(enumerate(self.given))[start : start + min(length, self._most)]


def chain(length: int) -> list[Any]:
    blocks: list[Any] = []
    for index in range(length):
        fields = [
            ("btype", {"Text": "swap_locked"}),
            ("ts", {"Nat": index}),
            ("tx", {"Map": [("id", {"Blob": bytes([index]) * 32})]}),
        ]
        if blocks:
            fields.insert(0, ("phash", {"Blob": value_hash(blocks[-1])}))
        blocks.append({"Map": fields})
    return blocks


def tip_of(blocks: list[Any]) -> LogTip:
    return LogTip(len(blocks), value_hash(blocks[-1]) if blocks else b"", 0)


async def read(blocks: list[Any], tip: LogTip, start: int = 0, before: bytes | None = None) -> list[int]:
    return await read_from(Pages(blocks), tip, start, before)


async def read_from(pages: Pages, tip: LogTip, start: int = 0, before: bytes | None = None) -> list[int]:
    log = Log(pages, most_blocks=100)  # type: ignore[arg-type]
    return [block.index async for block in log.read(start, before, tip)]


async def test_a_log_is_read_in_pages_to_its_tip() -> None:
    blocks = chain(5)
    assert await read(blocks, tip_of(blocks)) == [0, 1, 2, 3, 4]


async def test_a_log_is_read_on_from_a_block_whose_hash_is_known() -> None:
    blocks = chain(5)
    assert await read(blocks, tip_of(blocks), 3, value_hash(blocks[2])) == [3, 4]


async def test_an_empty_log_has_nothing() -> None:
    assert await read([], LogTip(0, b"", 0)) == []


async def test_what_came_after_the_tip_is_not_read() -> None:
    blocks = chain(5)
    assert await read(blocks, tip_of(blocks[:3])) == [0, 1, 2]


async def test_another_block_than_the_one_remembered_breaks_the_chain() -> None:
    blocks = chain(5)
    with pytest.raises(Untrusted, match="breaks at block 3"):
        await read(blocks, tip_of(blocks), 3, b"\x01" * 32)


@pytest.mark.parametrize("index", range(5))
async def test_a_changed_block_is_found_wherever_it_is(index: int) -> None:
    blocks = chain(5)
    tip = tip_of(blocks)
    forged = dict(blocks[index]["Map"]) | {"ts": {"Nat": 99}}
    blocks[index] = {"Map": list(forged.items())}
    with pytest.raises(Untrusted, match=r"breaks|does not lead"):
        await read(blocks, tip)


async def test_a_log_that_ends_before_its_tip_is_not_believed() -> None:
    blocks = chain(5)
    with pytest.raises(Untrusted, match="keeps block 4"):
        await read(blocks[:4], tip_of(blocks))


async def test_a_block_in_the_wrong_place_is_not_believed() -> None:
    blocks = chain(5)

    class Shifted(Pages):
        async def blocks(self, start: int, length: int) -> list[tuple[int, Any]]:
            return [(index + 1, block) for index, block in await super().blocks(start, length)]

    with pytest.raises(Untrusted, match="block 1 of its log for block 0"):
        await read_from(Shifted(blocks), tip_of(blocks))


@pytest.mark.parametrize("garbage", [{"Nat": 1}, {"Map": []}, {"Map": [("btype", {"Nat": 1})]}, {}, 5])
async def test_what_is_no_block_is_refused(garbage: Any) -> None:
    with pytest.raises(Untrusted, match="form of a block"):
        await read([garbage], LogTip(1, b"\x01" * 32, 0))
