"""Two operators agree over HTTP: one swapd makes the terms, the other takes part."""

from __future__ import annotations

from swapd.protocol.status import Status
from tests.scenarios.http import http_of
from tests.scenarios.rig import AMOUNTS, CHAIN, Rig


async def test_two_swapds_trade_what_their_operators_agreed_over_http(rig: Rig) -> None:
    give, get = rig.direction.give, rig.direction.get
    async with http_of(rig.house) as house, http_of(rig.other) as other:
        keys = await other.post("otto", "/v1/reservations", {"receive_on": CHAIN[give], "send_on": CHAIN[get]}, 201)
        form = {
            **{"give": give, "give_amount": str(AMOUNTS[give]), "get": get, "get_amount": str(AMOUNTS[get])},
            "initiator": {"wallet": "hot"},
            "participant": {
                **{"wallet": "external", "refund_to": keys["refund_to"], "receive_at": keys["receive_at"]},
                "claims_itself": True,
            },
        }
        swap_id = (await house.post("olga", "/v1/swaps", form, 201))["id"]
        offer = (await house.get("olga", f"/v1/swaps/{swap_id}/offer"))["offer"]

        changed = offer | {"participant": offer["participant"] | {"pay_to": "somewhere else"}}
        timelock = changed["participant"]["terms"] | {"timelock": offer["reveal_by"] + 1}
        changed["participant"] = changed["participant"] | {"terms": timelock}
        await other.post("otto", "/v1/offers", {"index": keys["index"], "offer": changed}, 422)
        await other.post("otto", "/v1/offers", {"index": keys["index"], "offer": {"nothing": 1}}, 422)
        await other.post("shop", "/v1/offers", {"index": keys["index"], "offer": offer}, 403)
        taken = await other.post("otto", "/v1/offers", {"index": keys["index"], "offer": offer}, 201)
        assert taken["id"] == swap_id
        assert taken["secret_holder"] == "remote"
    await rig.until_over(swap_id, Status.COMPLETED)
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)
