/// Every answer of a ledger, to a first call and to one that may have been done before.
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Escrow "Escrow";
import Ledger "Ledger";
import Sha256 "Sha256";
import Types "Types";

let id = Sha256.hash "id";
let secret = Sha256.hash "secret";
let (alice, bob) = (Principal.fromText("aaaaa-aa"), Principal.fromText("2vxsx-fae"));
let args : Types.InitiateArgs = {
  nonce = id;
  ledger = bob;
  amount = 1_000;
  fee = 10;
  from_subaccount = null;
  recipient = { owner = bob; subaccount = null };
  refund_to = { owner = alice; subaccount = ?id };
  hashlock = Sha256.hash secret;
  fund_by = 50;
  deadline = 100;
};

// -- a life

let new = Escrow.begin(id, alice, args, 7);
assert new.swap.phase == #Funding and new.swap.created_at == 7;
assert new.journal.amount == 1_010 and new.journal.fee == 10 and new.journal.created_at_time == 7 and not new.journal.doubtful;

let escrow = { owner = bob; subaccount = ?id };
let pull = Escrow.pullArgs(new, escrow);
assert pull.amount == 1_010 and pull.fee == ?10 and pull.spender_subaccount == ?id and pull.to == escrow;
assert pull.from == { owner = alice; subaccount = null } and pull.created_at_time == ?(7 : Nat64) and pull.memo == ?new.journal.memo;

let sent = Escrow.sending(new, 8);
assert sent.journal.doubtful and sent.journal.tries == 1 and sent.due > 8;
assert Escrow.pullArgs(sent, escrow) == pull; // a retry is the same transfer
assert Escrow.pullArgs(Escrow.sending(Escrow.waiting(sent, true), 9), escrow) == pull;

let again = Escrow.beginAgain(Escrow.cancelled(sent), 9);
assert again.swap.phase == #Funding and again.journal.memo != new.journal.memo and again.journal.created_at_time == 9 and not again.journal.doubtful;

let locked = Escrow.locked(sent, ?3);
assert locked.swap.phase == #Locked and locked.swap.lock_block == ?3 and locked.due == 100;

let claiming = Escrow.claiming(locked, secret, 20);
assert claiming.swap.phase == #Claiming and claiming.swap.secret == ?secret;
let claim = Escrow.payArgs(claiming);
assert claim.to == args.recipient and claim.amount == 1_000 and claim.fee == ?10 and claim.from_subaccount == ?id;
assert Escrow.payArgs(Escrow.sending(claiming, 30)) == claim;

let refunding = Escrow.refunding(locked, 20);
let refund = Escrow.payArgs(refunding);
assert refund.to == args.refund_to and refund.amount == 1_000 and refund.memo != claim.memo;

let claimed = Escrow.paid(claiming, ?4);
assert claimed.swap.phase == #Claimed and claimed.swap.payout_block == ?4 and claimed.due == 0;
assert Escrow.paid(refunding, null).swap.phase == #Refunded;
assert Escrow.quarantined(claiming).swap.phase == #Quarantined(#Claiming) and Escrow.quarantined(sent).swap.phase == #Quarantined(#Funding);
let released = Escrow.released(Escrow.quarantined(Escrow.sending(claiming, 30)), 40);
assert released.swap.phase == #Claiming and not released.journal.doubtful and released.journal.memo != claiming.journal.memo;
assert Escrow.payArgs(released).to == args.recipient;

for (phase in [#Funding, #Locked, #Claiming, #Refunding, #Quarantined(#Claiming)].vals()) assert Escrow.isOpen(phase);
for (phase in [#Claimed, #Refunded, #Cancelled].vals()) assert not Escrow.isOpen(phase);

// -- money

assert Escrow.payout(args, 10) == ?1_000 and Escrow.payout(args, 0) == ?1_000 and Escrow.payout(args, 11) == ?999;
assert Escrow.payout(args, 1_009) == ?1 and Escrow.payout(args, 1_010) == null and Escrow.payout(args, 5_000) == null;

// -- waiting

assert Escrow.wait(1) == 10_000_000_000 and Escrow.wait(2) == 20_000_000_000 and Escrow.wait(100) == 14_400_000_000_000;
for (tries in [1, 2, 3, 4, 5, 6, 7, 8, 9].vals()) assert Escrow.wait(tries + 1) >= Escrow.wait(tries);

// -- what an answer to a pull means

func afterPull(doubtful : Bool, answer : Ledger.Answer) : Escrow.Verdict = Escrow.judgePull(Escrow.waiting(new, doubtful), answer, 60);

for (doubtful in [false, true].vals()) {
  assert afterPull(doubtful, #Moved 5) == #Done(?5);
  assert afterPull(doubtful, #NotNow "n") == #Later { why = "n"; doubtful };
  assert afterPull(doubtful, #NotSent "n") == #Later { why = "n"; doubtful };
  assert afterPull(doubtful, #Unknown "n") == #Later { why = "n"; doubtful = true };
  let #Look look = afterPull(doubtful, #TooOld) else { assert false; loop {} };
  assert look.enough == 1_010 and look.ifThere == #Done null;
  let #Anew anew = look.ifGone else { assert false; loop {} };
  assert anew.created_at_time == 60 and anew.memo != new.journal.memo and not anew.doubtful and anew.amount == 1_010;
};
for (no in [#BadFee 11, #Insufficient "n", #Refused "n"].vals()) {
  let #Failed reason = afterPull(false, no) else { assert false; loop {} };
  let #Look look = afterPull(true, no) else { assert false; loop {} };
  assert look == { enough = 1_010; ifThere = #Done null; ifGone = #Failed reason };
};

// -- what an answer to a payout means

for (record in [claiming, refunding].vals()) {
  func after(doubtful : Bool, answer : Ledger.Answer) : Escrow.Verdict = Escrow.judgePayout(Escrow.waiting(record, doubtful), answer, 60);
  let isContradiction = func(verdict : Escrow.Verdict) : Bool = switch verdict { case (#Contradiction _) true; case _ false };
  let journal = func(verdict : Escrow.Verdict) : Escrow.Journal = switch verdict { case (#Anew anew) anew; case _ { assert false; loop {} } };

  for (doubtful in [false, true].vals()) {
    assert after(doubtful, #Moved 5) == #Done(?5);
    for (answer in [#NotNow "n", #NotSent "n", #Refused "n"].vals()) assert after(doubtful, answer) == #Later { why = "n"; doubtful };
    assert after(doubtful, #Unknown "n") == #Later { why = "n"; doubtful = true };

    let #Look old = after(doubtful, #TooOld) else { assert false; loop {} };
    assert old.enough == 1_010 and journal(old.ifThere).created_at_time == 60 and journal(old.ifThere).amount == 1_000;
    assert if doubtful old.ifGone == #Done null else isContradiction(old.ifGone);

    let #Look empty = after(doubtful, #Insufficient "n") else { assert false; loop {} };
    assert empty.enough == 1_010 and isContradiction(empty.ifThere);
    assert if doubtful empty.ifGone == #Done null else isContradiction(empty.ifGone);
  };

  let dearer = journal(after(false, #BadFee 25));
  assert dearer.amount == 985 and dearer.fee == 25 and dearer.memo != record.journal.memo and dearer.intent == record.journal.intent;
  let #Look look = after(true, #BadFee 25) else { assert false; loop {} };
  assert look.enough == 1_010 and look.ifThere == #Anew dearer and look.ifGone == #Done null;
  let #Later _ = after(false, #BadFee 1_010) else { assert false; loop {} };
};

// -- what a balance means

let look = { enough = 1_010; ifThere = #Done null; ifGone = #Failed "n" };
assert Escrow.judgeBalance(look, 1_010) == #Done null and Escrow.judgeBalance(look, 2_000) == #Done null;
assert Escrow.judgeBalance(look, 1_009) == #Failed "n" and Escrow.judgeBalance(look, 0) == #Failed "n";
