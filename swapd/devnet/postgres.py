"""A real PostgreSQL server for tests: fast, because it forgets everything in a power cut."""

from __future__ import annotations

import asyncio
import os
import pwd
import secrets
import shutil
import signal
from pathlib import Path

import psycopg
from psycopg import sql

from swapd.devnet import fetch
from swapd.devnet.fetch import PostgresTools
from swapd.devnet.node import Node
from swapd.devnet.ports import LOOPBACK, free_port
from swapd.devnet.process import Process
from swapd.errors import Unavailable

_SUPERUSER = "swapd"
_SERVANT = "nobody"  # PostgreSQL refuses to run as root, so root lends it to the user that owns nothing
_INITDB_SECONDS = 60


class PostgresServer(Node):
    """PostgreSQL in a temporary folder, reachable over loopback with a password made for it.

        async with PostgresServer() as server:
            engine = create_async_engine(await server.create_database("shop"))

    `binaries` is the folder with `initdb` and `postgres`. Started by root, it runs as the user `nobody`.
    """

    name = "postgres"

    def __init__(self, *, binaries: str | Path | None = None, system: bool = True) -> None:
        super().__init__()
        self.port = free_port()
        self._binaries = binaries
        self._system = system
        self._user = _SERVANT if os.geteuid() == 0 else None
        self._password = secrets.token_urlsafe(16)

    @property
    def url(self) -> str:
        """The maintenance database, in SQLAlchemy's form."""
        return self._url("postgres")

    async def create_database(self, name: str) -> str:
        """A new, empty database; returns its URL in SQLAlchemy's form."""
        async with await self._connect(autocommit=True) as connection:
            await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self._url(name)

    async def _prepare(self) -> Process:
        tools = await asyncio.to_thread(self._tools)
        data = self.folder / "data"
        environment = {**os.environ, "LC_ALL": "C", "LD_LIBRARY_PATH": fetch.library_path(tools)}
        if not data.exists():
            await self._initdb(tools, data, environment)
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "shared_buffers": "16MB",
            "max_connections": "100",
            "jit": "off",  # a fetched server comes without the compiler for it
        }
        return Process(
            [tools.programs / "postgres", "-D", data, *(f"--{key}={value}" for key, value in settings.items())],
            log=self.folder / "postgres.log",
            name=self.name,
            env=environment,
            cwd=self.folder,
            user=self._user,
            # SIGQUIT is the immediate shutdown, with children and shared memory; after SIGKILL those would linger.
            death_signal=signal.SIGQUIT,
            # SIGTERM would wait for clients to leave; SIGINT sends them away.
            stop_signal=signal.SIGINT,
        )

    async def _initdb(self, tools: PostgresTools, data: Path, environment: dict[str, str]) -> None:
        password_file = self.folder / "password"
        password_file.write_text(self._password)
        await asyncio.to_thread(self._hand_over, password_file)
        initdb = Process(
            [
                *(tools.programs / "initdb", "-D", data, f"--username={_SUPERUSER}", f"--pwfile={password_file}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"),
            ],
            log=self.folder / "initdb.log",
            env=environment,
            cwd=self.folder,
            user=self._user,
        )
        await initdb.run(timeout_seconds=_INITDB_SECONDS)
        password_file.unlink()

    def _tools(self) -> PostgresTools:
        """The programs, copied into our folder if they lie where the user we run as may not go."""
        tools = fetch.postgres(self._binaries, system=self._system)
        if self._user is None:
            return tools
        if not _open_to_all(self.folder.parent):
            raise Unavailable(
                f"PostgreSQL runs as the user {_SERVANT} because root may not run it, and that user may not enter the "
                f"folder for temporary files, {self.folder.parent}. Set TMPDIR to one that is open to all."
            )
        if _open_to_all(tools.programs):
            return tools
        if tools.root is None:
            raise Unavailable(
                f"PostgreSQL runs as the user {_SERVANT} because root may not run it, and that user may not enter "
                f"{tools.programs}. Open the folders above it to others, or run as another user."
            )
        copy = self.folder / "programs"
        if not copy.exists():
            shutil.copytree(tools.root, copy, symlinks=True)
        return fetch.fetched_postgres(copy)

    def _hand_over(self, password_file: Path) -> None:
        if self._user is not None:
            account = pwd.getpwnam(self._user)
            for path in (self.folder, password_file):
                os.chown(path, account.pw_uid, account.pw_gid)

    async def _answers(self) -> bool:
        try:
            async with await self._connect() as connection:
                await connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    async def _connect(self, *, autocommit: bool = False) -> psycopg.AsyncConnection[tuple[object, ...]]:
        return await psycopg.AsyncConnection.connect(
            host=LOOPBACK,
            port=self.port,
            user=_SUPERUSER,
            password=self._password,
            dbname="postgres",
            connect_timeout=5,
            autocommit=autocommit,
        )

    def _url(self, database: str) -> str:
        return f"postgresql+psycopg://{_SUPERUSER}:{self._password}@{LOOPBACK}:{self.port}/{database}"


def _open_to_all(folder: Path) -> bool:
    """Whether any user may reach what is in `folder`."""
    resolved = folder.resolve()
    return all(path.stat().st_mode & 0o001 for path in (resolved, *resolved.parents))
