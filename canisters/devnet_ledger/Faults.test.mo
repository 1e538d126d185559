import Array "mo:core/Array";
import Blob "mo:core/Blob";
import Principal "mo:core/Principal";
import Faults "Faults";

let alice = { owner = Principal.fromText("2vxsx-fae"); subaccount = null };
let bob = { owner = Principal.fromText("rrkah-fqaaa-aaaaa-aaaaq-cai"); subaccount = null };
let method = "icrc1_transfer";

// Faults come in their order, one a call, to their method.
do {
  let faults = Faults.none();
  Faults.set(faults, { method; account = null; faults = [#TrapBefore, #Late 3] });
  assert Faults.take(faults, "icrc2_approve", [alice]) == null;
  assert Faults.peek(faults, method, [alice]) == ?#TrapBefore;
  assert Faults.take(faults, method, [alice]) == ?#TrapBefore;
  assert Faults.take(faults, method, []) == ?#Late 3;
  assert Faults.take(faults, method, [alice]) == null;
};

// A plan for one account leaves others alone, in whatever spelling.
do {
  let faults = Faults.none();
  let zeros = ?Blob.fromArray(Array.repeat<Nat8>(0, 32));
  Faults.set(faults, { method; account = ?{ alice with subaccount = zeros }; faults = [#TrapAfter] });
  assert Faults.take(faults, method, [bob]) == null;
  assert Faults.take(faults, method, [bob, alice]) == ?#TrapAfter;
};

// A new plan replaces the old one of the same method and account.
do {
  let faults = Faults.none();
  Faults.set(faults, { method; account = null; faults = [#TrapAfter, #TrapAfter] });
  Faults.set(faults, { method; account = ?bob; faults = [#Unmoved 1] });
  Faults.set(faults, { method; account = null; faults = [] });
  assert Faults.take(faults, method, [alice]) == null;
  assert Faults.take(faults, method, [bob]) == ?#Unmoved 1;
};
