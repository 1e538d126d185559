"""One suite of behaviours for every chain's adapter, real and fake: so that the fakes cannot drift."""
