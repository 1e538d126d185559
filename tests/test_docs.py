"""What README and docs say exists: links and headings, commands and options, targets, files, diagrams, figures."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from swapd.cli.main import main

CHECKOUT = Path(__file__).resolve().parents[1]
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]

NOT_COMMANDS = ("swapd key file", "swapd preimage v1/", "swapd fingerprint v1", "swapd request signing v1")
"""Labels inside of files and derivations, which docs/vault.md quotes."""

NOT_FILES = ("migrations/versions/000N_what.py",)
"""A pattern, in docs/store.md."""

ROOMS = ("swapd", "tests", "config", "docs", "migrations", "bench")

page = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(CHECKOUT)))


# -- reading a page


def fences(text: str) -> Iterator[tuple[str, str]]:
    """(language, content) of every fenced block."""
    for match in re.finditer(r"^ *```(\w*)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
        yield match[1], match[2]


def prose(text: str) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


def spans(text: str) -> list[str]:
    """Inline code."""
    return re.findall(r"`([^`\n]+)`", prose(text))


def anchors(text: str) -> set[str]:
    """As code hosts make them of headings: lower case, punctuation gone, spaces to hyphens."""
    titles = re.findall(r"^#+ +(.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(text: str) -> list[str]:
    found: list[str] = re.findall(r"\]\(([^)\s]+)\)", prose(text))
    return [link for link in found if not link.startswith(("http://", "https://"))]


def typed(text: str) -> list[str]:
    """Command lines: inline code, lines after a `$ ` in consoles, and every line of shell blocks; continuations joined,
    comments gone."""
    lines = spans(text)
    for language, content in fences(text):
        joined = content.replace("\\\n", " ")
        if language == "console":
            lines += [line[2:] for line in joined.splitlines() if line.startswith("$ ")]
        elif language in ("sh", "bash"):
            lines += joined.splitlines()
    return [re.split(r"\s+#\s", line)[0].strip() for line in lines]


def calls(text: str, program: str) -> list[list[str]]:
    """The words after each call of a program, by name or by path, also behind `sudo -u USER` and `&&`."""
    found = []
    for line in typed(text):
        for part in line.split(" && "):
            match = re.match(rf"(?:sudo -u \w+ )?(?:[\w./]*/)?{program} (.+)", part)
            if match and not part.startswith(NOT_COMMANDS):
                found.append(shlex.split(re.split(r" [>|] ", match[1])[0]))
    return found


# -- links


def broken(path: Path, text: str) -> list[str]:
    wrong = []
    for link in links(text):
        target, _, anchor = link.partition("#")
        file = (path.parent / target) if target else path
        if not file.exists():
            wrong.append(f"{link}: no such file")
        elif anchor and anchor not in anchors(text if file == path else file.read_text()):
            wrong.append(f"{link}: no such heading")
    return wrong


@page
def test_every_link_leads_somewhere(path: Path) -> None:
    assert not broken(path, path.read_text())


def test_every_page_is_in_the_index() -> None:
    index = CHECKOUT / "docs" / "README.md"
    named = {link.partition("#")[0] for link in links(index.read_text())}
    assert named >= {path.name for path in PAGES if path.parent == index.parent} - {index.name}


@page
def test_every_file_that_is_named_exists(path: Path) -> None:
    named = [span for span in spans(path.read_text()) if re.fullmatch(rf"(?:{'|'.join(ROOMS)})/[\w./-]+", span)]
    assert not [name for name in named if not (CHECKOUT / name).exists() and name not in NOT_FILES]


# -- commands


def wrong_in(words: list[str], command: click.Command = main) -> str:
    """What the command line would not know of these words: a subcommand or an option; "" if it knows all.

    Words may end early (`swapd swap`), and arguments are not looked at: pages write ID and FILE for them.
    """
    options = {name: option for option in command.params for name in [*option.opts, *option.secondary_opts]}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in ("-h", "--help"):
            continue
        if word.startswith("-"):
            option = options.get(word)
            if option is None:
                return f"{command.name} has no option {word}"
            if isinstance(option, click.Option) and not option.is_flag and rest:
                value = rest.pop(0)
                if isinstance(option.type, click.Choice) and value not in option.type.choices:
                    return f"{command.name} {word} does not take {value}"
        elif isinstance(command, click.Group):
            below = command.commands.get(word)
            return wrong_in(rest, below) if below else f"{command.name} has no command {word}"
    return ""


@page
def test_every_command_exists_with_its_options(path: Path) -> None:
    assert not [wrong for words in calls(path.read_text(), "swapd") if (wrong := wrong_in(words))]


def leaves(command: click.Command, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from leaves(below, (*above, name))
    else:
        yield above


def test_every_command_is_shown_somewhere() -> None:
    shown = [words for path in PAGES for words in calls(path.read_text(), "swapd")]
    missing = [leaf for leaf in leaves(main) if not any(leaf == tuple(words[: len(leaf)]) for words in shown)]
    assert not missing


@page
def test_every_make_target_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    for words in calls(path.read_text(), "make"):
        if words[:1] == ["-C"]:
            words = words[2:]
        asked = {word for word in words if "=" not in word}
        assert asked <= targets, f"make {' '.join(words)}"


# -- diagrams

SEQUENCE = re.compile(
    r"participant \w+ as .+|\w+(?:->>|-->>)\w+: .+|Note over \w+(?:,\w+)?: .+|(?:alt|opt|loop|par|else) .+|end"
)
STATES = re.compile(r"(?:\[\*\]|\w+) --> (?:\[\*\]|\w+)")
LINES = {"sequenceDiagram": SEQUENCE, "stateDiagram-v2": STATES, "flowchart TD": None, "flowchart LR": None}


def faults(diagram: str) -> list[str]:
    """What a renderer would stumble over, as far as can be told without one."""
    kind, *lines = [line.strip() for line in diagram.strip().splitlines()]
    if kind not in LINES:
        return [f"unknown kind {kind}"]
    wrong = [f"{one}{other} are not pairs" for one, other in ("[]", "()", "{}") if unpaired(diagram, one, other)]
    if diagram.count('"') % 2:
        wrong.append("an odd number of quotation marks")
    pattern = LINES[kind]
    if pattern is not None:
        wrong += [f"not understood: {line}" for line in lines if line and not pattern.fullmatch(line)]
    if kind == "sequenceDiagram":
        wrong += sequence_faults(lines)
    return wrong


def unpaired(text: str, one: str, other: str) -> bool:
    return text.count(one) != text.count(other)


def sequence_faults(lines: list[str]) -> list[str]:
    opened = sum(line.split(" ")[0] in ("alt", "opt", "loop", "par") for line in lines)
    wrong = [] if opened == lines.count("end") else [f"{opened} blocks begin, {lines.count('end')} end"]
    known = {line.split(" ")[1] for line in lines if line.startswith("participant ")}
    used = {name for line in lines for name in re.findall(r"^(\w+)--?>>(\w+):|^Note over (\w+)(?:,(\w+))?", line)}
    strangers = {name for names in used for name in names if name} - known
    wrong += [f"{name} is no participant" for name in sorted(strangers)]
    wrong += [f"; ends a message early: {line}" for line in lines if ";" in line]
    return wrong


@page
def test_every_diagram_can_be_drawn(path: Path) -> None:
    assert not [
        fault for language, content in fences(path.read_text()) if language == "mermaid" for fault in faults(content)
    ]


@page
def test_every_block_ends(path: Path) -> None:
    assert len(re.findall(r"^ *```", path.read_text(), re.MULTILINE)) % 2 == 0


# -- figures

SPREAD = 0.005
"""By this share figures may differ from one measurement to the next: keys and addresses in calldata are random."""


def figures(text: str, row: str) -> list[float]:
    """The numbers in the second cell of the table row that begins with these words."""
    (cell,) = re.findall(rf"^\| {re.escape(row)}[^|]*\| ([^|]+) \|", text, re.MULTILINE)
    return [float(number.replace(",", "")) for number in re.findall(r"[\d,]+(?:\.\d+)?", cell)]


@pytest.mark.parametrize(
    ("row", "file", "keys"),
    [
        ("gas of an ETH lock", "gas.json", ("eth_lock", "eth_claim", "eth_refund")),
        ("gas of an ERC-20 lock", "gas.json", ("erc20_lock", "erc20_claim", "erc20_refund")),
        ("gas per extra swap", "gas.json", ("batch_lock_per_extra", "batch_claim_per_extra")),
        ("Bitcoin claim input", "bitcoin.json", ("p2wsh_claim_input_vb",)),
    ],
)
def test_the_figures_are_the_measured_ones(row: str, file: str, keys: tuple[str, ...]) -> None:
    measured = json.loads((CHECKOUT / "bench" / "results" / file).read_text())
    told = figures((CHECKOUT / "README.md").read_text(), row)
    assert told == pytest.approx([measured[key] for key in keys], rel=SPREAD)


# -- these tests can fail


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[a](nowhere.md)", "nowhere.md: no such file"),
        ("# Here\n[a](#there)", "#there: no such heading"),
        ("[a](docs/vault.md#nothing)", "docs/vault.md#nothing: no such heading"),
    ],
)
def test_a_broken_link_is_found(text: str, wrong: str) -> None:
    assert broken(CHECKOUT / "README.md", text) == [wrong]


def test_a_link_to_a_heading_is_found_good() -> None:
    text = (
        "# S14: the *seed*, `alone`\n[a](#s14-the-seed-alone) [b](docs/vault.md#the-key-file) [c](https://example.org)"
    )
    assert broken(CHECKOUT / "README.md", text) == []


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("swapd db upgrade", "main has no command db"),
        ("swapd swap destroy ID", "swap has no command destroy"),
        ("swapd swap show ID --loudly", "show has no option --loudly"),
        ("swapd init --network moon", "init --network does not take moon"),
        ("sudo -u x /opt/swapd/.venv/bin/swapd --config F inti", "main has no command inti"),
    ],
)
def test_a_command_that_does_not_exist_is_found(line: str, wrong: str) -> None:
    (words,) = calls(f"`{line}`", "swapd")
    assert wrong_in(words) == wrong


def test_commands_are_found_in_blocks_and_over_several_lines() -> None:
    console = "```console\n$ swapd swap list \\\n    --json\nswapd is not typed here\n```\n"
    text = console + "```sh\nswapd init && swapd doctor  # look\n```\n"
    assert calls(text, "swapd") == [["swap", "list", "--json"], ["init"], ["doctor"]]


@pytest.mark.parametrize(
    "diagram",
    [
        "pie\n a",
        "sequenceDiagram\n participant A as a\n A->>B: hello",
        "sequenceDiagram\n participant A as a\n alt one\n A->>A: hello",
        "sequenceDiagram\n participant A as a\n A->>A: one; two",
        "sequenceDiagram\n participant A as a\n A=>A: hello",
        "stateDiagram-v2\n a -> b",
        'flowchart TD\n a["b] --> c',
        "flowchart TD\n a[b --> c",
    ],
)
def test_a_broken_diagram_is_found(diagram: str) -> None:
    assert faults(diagram)
