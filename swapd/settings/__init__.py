"""What the operator decides: read from TOML files and the environment, checked, and never changed after.

    settings = load(Path("devnet.toml"), os.environ)
    settings.daemon.data_dir
    for name, chain in settings.enabled_chains().items(): ...

    models.py          the sections that do not belong to a chain, and `Settings`
    keys.py            which keys there are, read from the models
    sources.py         TOML files and environment variables, as given keys with where each came from
    loading.py         one over the other, paths made absolute, validated; errors that name key, value and source
    contradictions.py  settings that are fine each and wrong together
    timing.py          a chain's timing settings as the policy of `protocol/timelock.py` wants them

Every default, with its meaning and its reason, stands in `config/default.toml` and nowhere else.
"""

from swapd.settings.loading import DEFAULTS, load
from swapd.settings.models import Settings
from swapd.settings.timing import timing_profile

__all__ = ["DEFAULTS", "Settings", "load", "timing_profile"]
