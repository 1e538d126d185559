"""What several commands take alike."""

from __future__ import annotations

import re

import click

from swapd.errors import Invalid
from swapd.protocol.terms import Wallet

_WHOLE = re.compile("-?[0-9][0-9_]{0,100}")


class SmallestUnits(click.ParamType[int]):
    """A whole number of an asset's smallest unit. A fraction is refused, in one line like every other wrong amount."""

    name = "amount"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if _WHOLE.fullmatch(str(value)):
            return int(str(value).replace("_", ""))
        field = param.name if param is not None and param.name else self.name
        raise click.ClickException(str(Invalid(field, value, "a whole number of the asset's smallest unit")))


AMOUNT = SmallestUnits()

wallets = click.Choice([w.value for w in Wallet])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a machine.")
