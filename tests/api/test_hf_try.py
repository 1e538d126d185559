from contextlib import asynccontextmanager
import asyncio, collections
from swapd.api import keys
from swapd.api.server import serving
from swapd.api.service import Service
from swapd.cli.context import make_house
from swapd.coordinator.daemon import Daemon, Pace
from swapd.devnet.party import CONFIG
from swapd.devnet.ports import free_port
from swapd.settings import load
from swapd.store import KeyRole, Store
from swapd.vault import Network, Secret, Vault
from tests.api.conftest import CHAINS, SEED, Prepared, prepared
from tests.api import machine

def test_it(prepared, tmp_path):
    file = tmp_path / "swapd.db"
    file.write_bytes(prepared.file.read_bytes()); file.chmod(0o600)
    known = {}
    @asynccontextmanager
    async def serve():
        port = free_port()
        variables = {f"SWAPD__CHAINS__{chain.upper()}__ENABLED": "false" for chain in CHAINS} | machine.LIMITS | {"SWAPD__DAEMON__DATA_DIR": str(tmp_path), "SWAPD__API__ENABLED": "true", "SWAPD__API__PORT": str(port)}
        made = load(CONFIG, variables)
        with Vault(Secret(SEED), Network.DEVNET) as vault:
            store = await Store.open(f"sqlite:///{file}", vault)
            try:
                known["key_id"] = [(await keys.issue(store, "operator", f"spare{n}", KeyRole.AUDITOR))[0].id for n in range(10)]
                house = make_house(made, vault, store)
                daemon = Daemon(house, Pace(tick=1, sweep=60, lease=60, stop=5), worker="idle")
                daemon.gate.starting = False
                async with serving(Service(house, made, daemon), daemon.stopping):
                    yield f"http://127.0.0.1:{port}"
            finally:
                await store.close()
    import time
    from schemathesis.engine import events as ev
    orig=machine._findings
    def tapped(stream):
        def g():
            for e in stream:
                if isinstance(e,(ev.PhaseStarted,ev.PhaseFinished)): print(type(e).__name__, e.phase.name, time.time()-t)
                if isinstance(e, ev.ScenarioFinished):
                    el=sum(i.response.elapsed for i in e.recorder.interactions.values() if i.response); n=len(e.recorder.interactions); print('SC', e.phase.name, e.recorder.label, n, round(el,2), round(e.elapsed_time,2))
                yield e
        return orig(g())
    machine._findings=tapped
    with machine.in_a_thread(serve) as url:
        t = time.time()
        import cProfile; pr=cProfile.Profile(); pr.enable()
        found = machine.let_it_run(url, prepared.tokens, examples=2, known=known)
        pr.disable(); import pstats; pstats.Stats(pr).sort_stats('cumtime').print_stats(60)
        print("TOOK", time.time() - t, sum(found.answers.values()))
    by = collections.defaultdict(dict)
    for (label, status), n in sorted(found.answers.items()): by[label][status] = n
    for label, v in by.items(): print(label, v)
    print(len(found.faults))
    kinds = collections.Counter(": ".join(f.split(": ")[:2]) for f in found.faults)
    print(kinds)
    seen=set()
    for f in found.faults:
        k=": ".join(f.split(": ")[:2])
        if k in seen: continue
        seen.add(k); print("-----"); print(f[:1500])
