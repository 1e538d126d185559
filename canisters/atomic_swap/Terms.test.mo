/// The id is made as everybody makes it, and each term has its bounds. The rest is tested through the canister.
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Sha256 "Sha256";
import Terms "Terms";
import Types "Types";

let (canister, alice) = (Principal.fromText("aaaaa-aa"), Principal.fromText("2vxsx-fae"));
let (bob, ledger) = (Principal.fromText("rrkah-fqaaa-aaaaa-aaaaq-cai"), Principal.fromText("ryjl3-tyaaa-aaaaa-aaaba-cai"));
let nonce = Sha256.hash "nonce";
assert Terms.swapId(canister, alice, "N") == Sha256.hash("atomic-swap/1\00\01\04N");
assert Terms.swapId(alice, canister, "N") == Sha256.hash("atomic-swap/1\01\04\00N");

let config : Types.Config = {
  arbiter = canister;
  ledgers = [canister];
  min_timelock = 100;
  max_timelock = 1_000;
  marketplaces = [];
  coordinators = [];
  limits = { open_swaps_per_caller = 1; initiates_per_minute = 1; requests_per_minute = 1 };
  min_cycles = 0;
  sweep_seconds = 60;
};
assert Terms.config(config, alice) == null;
assert Terms.config({ config with arbiter = alice }, canister) != null; // the anonymous principal
assert Terms.config({ config with sweep_seconds = 0 : Nat64 }, alice) != null;

let args : Types.InitiateArgs = {
  nonce;
  ledger;
  amount = 1;
  fee = 0;
  from_subaccount = null;
  recipient = { owner = bob; subaccount = null };
  refund_to = { owner = bob; subaccount = ?nonce };
  hashlock = nonce;
  fund_by = 51;
  deadline = 150;
};
assert Terms.terms(args, alice) == null;
assert Terms.terms(args, bob) != null; // pays itself
for (nobody in [canister, alice, ledger].vals()) { // the management canister, the anonymous principal, the ledger
  assert Terms.terms({ args with recipient = { owner = nobody; subaccount = null } }, alice) != null;
  assert Terms.terms({ args with refund_to = { owner = nobody; subaccount = null } }, alice) != null;
};
assert Terms.terms({ args with amount = 0 }, alice) != null;

for ((fund_by, deadline, good) in [(51, 150, true), (50, 150, false), (51, 149, false), (149, 150, true), (150, 150, false), (51, 1_050, true), (51, 1_051, false)].vals()) {
  let times = { args with fund_by = Nat64.fromNat(fund_by); deadline = Nat64.fromNat(deadline) };
  assert (Terms.times(times, config, 50) == null) == good;
};
