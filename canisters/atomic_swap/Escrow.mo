/// What a swap's escrow does next: a pure state machine. It calls nobody and knows no time but what it is given.
///
/// Each intent to move money is a *journal* entry, stored before the ledger is called. All of a transfer's arguments follow from it, so that a
/// retry is the same transfer to the ledger and cannot be done twice (ICRC-1, "Transaction deduplication"). Only when it is known that a
/// journaled transfer was not done and will not be, is another one stamped.
import Blob "mo:core/Blob";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Encoding "Encoding";
import Ledger "Ledger";
import Sha256 "Sha256";
import Types "Types";

module {
  type Swap = Types.Swap;
  type Intent = Types.Intent;

  /// One transfer that is wanted, as it is sent to the ledger.
  public type Journal = {
    intent : Intent;
    stamp : Nat; // how often this swap has been given a new transfer
    created_at_time : Nat64;
    memo : Blob; // 32 bytes: of swap, intent and stamp
    amount : Nat;
    fee : Nat;
    tries : Nat; // calls since then
    doubtful : Bool; // it was sent, and the answer does not say that it was not done
  };

  /// A swap as it is stored. `due` is when the sweep takes it up, `Agenda.never` if there is nothing to do.
  public type Record = { swap : Swap; journal : Journal; due : Nat64 };

  /// What an answer of the ledger means.
  public type Verdict = {
    #Done : ?Nat; // the money moved, in this block if it is known
    #Failed : Text; // a pull that definitely was not done
    #Late; // funds that came after `fund_by`: to be paid back
    #Anew : Journal; // send this one instead
    #Later : { why : Text; doubtful : Bool }; // send the same again later
    #Look : Look; // the escrow's balance decides
    #Contradiction : Text; // the ledger's answers do not fit together: a person must look
  };

  /// What the escrow's balance would mean.
  public type Look = { enough : Nat; ifThere : Verdict; ifGone : Verdict };

  let firstWait : Nat64 = 10_000_000_000;

  let mostWait : Nat64 = 14_400_000_000_000; // four hours: transfers that never succeed keep the sweep from no others

  /// How long the sweep leaves alone what it cannot take up at all.
  public let longestWait : Nat64 = 900_000_000_000;

  // -- the life of a record

  /// A new swap, about to be funded.
  public func begin(id : Blob, initiator : Principal, args : Types.InitiateArgs, now : Nat64) : Record {
    let swap : Swap = {
      id;
      initiator;
      args;
      phase = #Funding;
      secret = null;
      lock_block = null;
      payout_block = null;
      created_at = now;
      last_event = 0;
    };
    let journal = stamped(id, #Funding, 1, now, pulled(args), args.fee);
    { swap; journal; due = now + firstWait };
  };

  /// The same swap, to be funded again after it was cancelled.
  public func beginAgain({ swap; journal } : Record, now : Nat64) : Record {
    let anew = stamped(swap.id, #Funding, journal.stamp + 1, now, pulled(swap.args), swap.args.fee);
    { swap = { swap with phase = #Funding }; journal = anew; due = now + firstWait };
  };

  /// Locked: nothing to do until the deadline.
  public func locked(record : Record, block : ?Nat) : Record {
    { record with swap = { record.swap with phase = #Locked; lock_block = block }; due = record.swap.args.deadline };
  };

  /// About to pay the recipient.
  public func claiming(record : Record, secret : Blob, now : Nat64) : Record {
    let swap = { record.swap with phase = #Claiming; secret = ?secret };
    { swap; journal = payoutJournal(record, #Claiming, record.swap.args.fee, now); due = now + firstWait };
  };

  /// About to pay back.
  public func refunding(record : Record, now : Nat64) : Record {
    let swap = { record.swap with phase = #Refunding };
    { swap; journal = payoutJournal(record, #Refunding, record.swap.args.fee, now); due = now + firstWait };
  };

  /// Paid, to whom the intent says.
  public func paid(record : Record, block : ?Nat) : Record {
    let phase = if (record.journal.intent == #Claiming) #Claimed else #Refunded;
    { record with swap = { record.swap with phase; payout_block = block }; due = 0 : Nat64 };
  };

  /// Not funded; nothing moved.
  public func cancelled(record : Record) : Record = { record with swap = { record.swap with phase = #Cancelled }; due = 0 : Nat64 };

  /// Left to the arbiter.
  public func quarantined(record : Record) : Record {
    { record with swap = { record.swap with phase = #Quarantined(record.journal.intent) }; due = 0 : Nat64 };
  };

  /// Out of quarantine, to pay again: the arbiter and the balance say that it was not done.
  public func released(record : Record, now : Nat64) : Record {
    let { intent; fee } = record.journal;
    let phase = if (intent == #Claiming) #Claiming else #Refunding;
    { swap = { record.swap with phase }; journal = payoutJournal(record, intent, fee, now); due = now + firstWait };
  };

  /// What is stored before the journaled transfer is sent: from here on it is in doubt.
  public func sending(record : Record, now : Nat64) : Record {
    let journal = { record.journal with tries = record.journal.tries + 1; doubtful = true };
    { record with journal; due = now + wait(journal.tries) };
  };

  /// What is stored before the balance is asked for.
  public func looking(record : Record, now : Nat64) : Record {
    let journal = { record.journal with tries = record.journal.tries + 1 };
    { record with journal; due = now + wait(journal.tries) };
  };

  /// What is stored when the transfer has to wait.
  public func waiting(record : Record, doubtful : Bool) : Record = { record with journal = { record.journal with doubtful } };

  /// How long the sweep leaves a swap alone after so many tries: 10 s, 20 s, ... 4 h.
  public func wait(tries : Nat) : Nat64 {
    if (tries > 11) return mostWait;
    Nat64.min(mostWait, firstWait << Nat64.fromNat(tries - 1));
  };

  /// Whether there is anything left that may happen.
  public func isOpen(phase : Types.Phase) : Bool {
    switch phase {
      case (#Claimed or #Refunded or #Cancelled) false;
      case _ true;
    };
  };

  // -- money

  /// What lies in the escrow of a locked swap: the amount, and the fee of its payout.
  public func pulled(args : Types.InitiateArgs) : Nat = args.amount + args.fee;

  /// What the payee gets at a fee: the amount, less only if the fee rose. Null if the fee would eat it all.
  public func payout(args : Types.InitiateArgs, fee : Nat) : ?Nat {
    if (fee >= pulled(args)) null else ?Nat.min(args.amount, pulled(args) - fee);
  };

  /// The journaled transfer into the escrow.
  public func pullArgs({ swap; journal } : Record, escrow : Types.Account) : Ledger.TransferFromArgs {
    {
      spender_subaccount = ?swap.id;
      from = { owner = swap.initiator; subaccount = swap.args.from_subaccount };
      to = escrow;
      amount = journal.amount;
      fee = ?journal.fee;
      memo = ?journal.memo;
      created_at_time = ?journal.created_at_time;
    };
  };

  /// The journaled transfer out of the escrow. The payee is fixed by the swap's terms.
  public func payArgs({ swap; journal } : Record) : Ledger.TransferArgs {
    {
      from_subaccount = ?swap.id;
      to = if (journal.intent == #Claiming) swap.args.recipient else swap.args.refund_to;
      amount = journal.amount;
      fee = ?journal.fee;
      memo = ?journal.memo;
      created_at_time = ?journal.created_at_time;
    };
  };

  // -- what an answer means; `record` as it was before `sending`

  /// After a pull.
  public func judgePull({ swap; journal } : Record, answer : Ledger.Answer, now : Nat64) : Verdict {
    let no = func(reason : Text) : Verdict = if (journal.doubtful) #Look(look(swap, #Done null, #Failed reason)) else #Failed reason;
    switch answer {
      case (#Moved block) #Done(?block);
      case (#BadFee expected) no("BadFee: the ledger's fee is " # expected.toText());
      case (#Insufficient text) no text;
      case (#Refused text) no text;
      case (#TooOld) {
        let anew = stamped(swap.id, #Funding, journal.stamp + 1, now, journal.amount, journal.fee);
        #Look(look(swap, #Done null, #Anew anew));
      };
      case (#NotNow why) #Later { why; doubtful = journal.doubtful };
      case (#NotSent why) #Later { why; doubtful = journal.doubtful };
      case (#Unknown why) #Later { why; doubtful = true };
    };
  };

  /// After a payout.
  public func judgePayout(record : Record, answer : Ledger.Answer, now : Nat64) : Verdict {
    let { swap; journal } = record;
    let enough = journal.amount + journal.fee;
    let gone : Verdict = if (journal.doubtful) #Done null else #Contradiction "the escrow is empty, and no payout of ours can have emptied it";
    switch answer {
      case (#Moved block) #Done(?block);
      case (#BadFee expected) {
        let anew : Verdict = switch (payout(swap.args, expected)) {
          case (?amount) #Anew(stamped(swap.id, journal.intent, journal.stamp + 1, now, amount, expected));
          case null #Later { why = "the ledger's fee of " # expected.toText() # " is more than what there is"; doubtful = false };
        };
        if (journal.doubtful) #Look { enough; ifThere = anew; ifGone = gone } else anew;
      };
      case (#TooOld) {
        let anew = stamped(swap.id, journal.intent, journal.stamp + 1, now, journal.amount, journal.fee);
        #Look { enough; ifThere = #Anew anew; ifGone = gone };
      };
      case (#Insufficient text) {
        #Look { enough; ifThere = #Contradiction(text # ", but there is enough"); ifGone = gone };
      };
      case (#Refused why) #Later { why; doubtful = journal.doubtful };
      case (#NotNow why) #Later { why; doubtful = journal.doubtful };
      case (#NotSent why) #Later { why; doubtful = journal.doubtful };
      case (#Unknown why) #Later { why; doubtful = true };
    };
  };

  /// What the escrow's balance says.
  public func judgeBalance(look : Look, balance : Nat) : Verdict = if (balance >= look.enough) look.ifThere else look.ifGone;

  func look(swap : Swap, ifThere : Verdict, ifGone : Verdict) : Look = { enough = pulled(swap.args); ifThere; ifGone };

  // -- stamps

  func payoutJournal({ swap; journal } : Record, intent : Intent, fee : Nat, now : Nat64) : Journal {
    let amount = switch (payout(swap.args, fee)) { case (?amount) amount; case null swap.args.amount };
    stamped(swap.id, intent, journal.stamp + 1, now, amount, fee);
  };

  func stamped(id : Blob, intent : Intent, stamp : Nat, now : Nat64, amount : Nat, fee : Nat) : Journal {
    { intent; stamp; created_at_time = now; memo = memo(id, intent, stamp); amount; fee; tries = 0; doubtful = false };
  };

  func memo(id : Blob, intent : Intent, stamp : Nat) : Blob {
    let kind : Blob = switch intent { case (#Funding) "\01"; case (#Claiming) "\02"; case (#Refunding) "\03" };
    Sha256.hash(Encoding.concat([id, kind, Encoding.bigEndian(Nat64.fromNat(stamp))]));
  };
};
