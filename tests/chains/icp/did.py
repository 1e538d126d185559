"""A reader of .did files: what a service's methods take and give as swapd's Candid types, and values of any type.

Only what canister interfaces are made of. A `func` or `service` type is read as `reserved`: none is ever written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from swapd.chains.icp.candid import types as t

PRIMITIVES: dict[str, t.Type] = {
    type_.name: type_
    for type_ in (t.Null, t.Bool, t.Nat, t.Int, t.Nat8, t.Nat16, t.Nat32, t.Nat64, t.Int8, t.Int16, t.Int32, t.Int64)
} | {"text": t.Text, "reserved": t.Reserved, "empty": t.Empty, "principal": t.Principal, "blob": t.Blob}

TOKEN = re.compile(r'\s+|//[^\n]*|/\*.*?\*/|("(?:[^"\\]|\\.)*"|->|[A-Za-z_]\w*|\d+|[(){};:,=.])', re.DOTALL)


@dataclass(frozen=True)
class Method:
    """argument, result: None where there is none. mode: query, composite_query, oneway or empty. more: arguments that
    callers may leave out."""

    argument: t.Type | None
    result: t.Type | None
    mode: str
    more: tuple[t.Type, ...] = ()


class _Parser:
    def __init__(self, text: str) -> None:
        ends = [match.end() for match in TOKEN.finditer(text)]
        assert ends[-1] == len(text) == sum(len(match[0]) for match in TOKEN.finditer(text)), "not a .did file"
        self._tokens = [match[1] for match in TOKEN.finditer(text) if match[1]] + [""]
        self._at = 0
        self._named: dict[str, t.Recursive] = {}
        self._services: dict[str, dict[str, Method]] = {}

    def service(self) -> dict[str, Method]:
        while self._next("type"):
            name = self._take()
            self._expect("=")
            if self._next("service"):  # as the compiler writes that of an actor class
                self._services[name] = self._methods()
            else:
                self._type_named(name).fill(self._type())
            self._expect(";")
        self._expect("service")
        self._expect(":")
        if self._tokens[self._at] == "(":
            self._tuple()
            self._expect("->")
        return self._methods() if self._tokens[self._at] == "{" else self._services[self._take()]

    def _methods(self) -> dict[str, Method]:
        self._expect("{")
        methods = {}
        while not self._next("}"):
            name = self._take().strip('"')
            self._expect(":")
            methods[name] = self._method()
            self._next(";")
        return methods

    def _method(self) -> Method:
        arguments = self._tuple()
        self._expect("->")
        results = self._tuple()
        mode = self._take() if self._tokens[self._at] in ("query", "composite_query", "oneway") else ""
        assert all(isinstance(more, t.Opt) for more in arguments[1:]), "one argument a method, and more to be left out"
        assert len(results) <= 1, "one result a method"
        return Method(arguments[0] if arguments else None, results[0] if results else None, mode, tuple(arguments[1:]))

    def _tuple(self) -> list[t.Type]:
        self._expect("(")
        found = []
        while not self._next(")"):
            if self._tokens[self._at + 1] == ":":  # a name for people
                self._at += 2
            found.append(self._type())
            self._next(",")
        return found

    def _type(self) -> t.Type:
        word = self._take()
        match word:
            case "opt":
                return t.Opt(self._type())
            case "vec":
                inner = self._type()
                return t.Blob if inner is t.Nat8 else t.Vec(inner)
            case "record":
                fields = self._fields(positional=True)
                if fields and all(isinstance(name, int) for name in fields):
                    return t.Tuple(*fields.values())
                return t.Record({str(name): inner for name, inner in fields.items()})
            case "variant":
                return t.Variant({str(name): inner for name, inner in self._fields(positional=False).items()})
            case "func":
                self._method()
                return t.Reserved
        return PRIMITIVES[word] if word in PRIMITIVES else self._type_named(word)

    def _fields(self, *, positional: bool) -> dict[str | int, t.Type]:
        self._expect("{")
        fields: dict[str | int, t.Type] = {}
        while not self._next("}"):
            if self._tokens[self._at + 1] == ":":
                name = self._take().strip('"')
                self._expect(":")
                fields[int(name) if name.isdigit() else name] = self._type()
            elif positional:
                fields[len(fields)] = self._type()
            else:
                fields[self._take().strip('"')] = t.Null
            self._next(";")
        return fields

    def _type_named(self, name: str) -> t.Recursive:
        return self._named.setdefault(name, t.Recursive())

    def _take(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]

    def _next(self, token: str) -> bool:
        """Whether this is the next token, which is then taken."""
        if self._tokens[self._at] != token:
            return False
        self._at += 1
        return True

    def _expect(self, token: str) -> None:
        found = self._take()
        assert found == token, f"{token} was expected, not {found}"


def read(text: str) -> dict[str, Method]:
    """The methods of the service in a .did file."""
    return _Parser(text).service()


def values(type_: t.Type, depth: int = 4) -> st.SearchStrategy[Any]:
    """Any value of a type; those that contain themselves end after some levels."""
    match type_:
        case t.Recursive():
            return st.deferred(lambda: values(type_.inner, depth - 1))
        case t.Opt():
            return st.none() if depth <= 0 else st.none() | values(type_.inner, depth)
        case t.Vec():
            return st.lists(values(type_.inner, depth), max_size=3) if depth > 0 else st.just([])
        case t.Record():
            return st.fixed_dictionaries({name: values(inner, depth) for name, inner in type_.fields.items()})
        case t.Tuple():
            return st.tuples(*(values(inner, depth) for inner in type_.fields))
        case t.Variant():
            cases = [st.fixed_dictionaries({name: values(inner, depth)}) for name, inner in type_.cases.items()]
            return st.one_of(cases)
        case t.Fixed():
            return st.integers(type_.least, type_.most)
    return {
        t.Null: st.none(),
        t.Reserved: st.none(),
        t.Bool: st.booleans(),
        t.Nat: st.integers(0, 2**200),
        t.Int: st.integers(-(2**200), 2**200),
        t.Text: st.text(max_size=10),
        t.Principal: st.binary(max_size=29),
        t.Blob: st.binary(max_size=40),
    }[type_]
