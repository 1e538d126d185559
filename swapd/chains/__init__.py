"""One folder a chain, all behind the small interface in `base.py`."""
