/// Moves a swap's money: the one place where a ledger is called for it.
///
/// Before every `await` the record is stored as `Escrow.sending` leaves it, after it the record is read anew. One call of a swap is under way at a
/// time. A trap after the ledger's answer undoes what was written since, and runs the `finally` blocks: they mark the swap as failed. They can do
/// no more, because nothing can be certified there; the next message that is about the swap, the sweep's at the latest, puts it into quarantine.
import Blob "mo:core/Blob";
import Nat64 "mo:core/Nat64";
import Set "mo:core/Set";
import Time "mo:core/Time";
import Book "Book";
import Escrow "Escrow";
import Events "Events";
import Ledger "Ledger";
import Types "Types";

module {
  /// `busy`: the swaps whose money is being moved. It is not kept over an upgrade: no call is under way then.
  public type Context = { self : Principal; book : Book.State; busy : Set.Set<Blob> };

  /// How far it came. #Settled: the phase says it. #Waiting: the swap is as it was, and may be taken up again. #Failed: cancelled.
  public type Outcome = { #Settled; #Waiting : Text; #Failed : Text };

  type Step = { #Go; #Stop : Outcome; #Ask : Escrow.Look };

  /// Transfers in one go; more than two means a ledger that keeps changing its mind.
  let maxSends = 3;

  public func now() : Nat64 = Nat64.fromIntWrap(Time.now());

  /// Whether so many calls are under way that no more may begin but claims and refunds. Each keeps 80 G cycles back until its answer is there, and
  /// whoever makes many with a ledger that does not answer must not keep them from others' money.
  public func isCrowded(context : Context) : Bool = Set.size(context.busy) >= 50;

  public func isBusy(context : Context, id : Blob) : Bool = Set.contains(context.busy, Blob.compare, id);

  /// To be called before anything else is done with a swap: if the canister failed at a ledger's answer, it goes into quarantine now.
  public func attend({ book } : Context, id : Blob) {
    if (not Set.contains(book.failed, Blob.compare, id)) return;
    Set.remove(book.failed, Blob.compare, id);
    let record = Book.the(book, id);
    let event = Events.quarantined(record.swap, record.journal.intent, "the canister failed at the ledger's answer");
    ignore Book.write(book, Escrow.quarantined(record), event, now());
  };

  /// Carries out what is journaled for a swap that is not busy, as far as it goes now. It may be locked, claimed, refunded, cancelled or in
  /// quarantine then.
  public func settle(context : Context, id : Blob) : async* Outcome {
    Set.add(context.busy, Blob.compare, id);
    try { await* drive(context, id) } finally { release(context, id) };
  };

  /// Ends what made a swap busy.
  public func release(context : Context, id : Blob) = Set.remove(context.busy, Blob.compare, id);

  /// The account that holds a swap's money.
  public func escrow(context : Context, id : Blob) : Types.Account = { owner = context.self; subaccount = ?id };

  func drive(context : Context, id : Blob) : async* Outcome {
    var sends = 0;
    loop {
      let record = Book.the(context.book, id);
      let step : Step = switch (record.swap.phase) {
        case (#Funding) if (now() < record.swap.args.fund_by) await* send(context, record) else #Ask(late(record));
        case (#Claiming or #Refunding) await* send(context, record);
        case _ #Stop(#Settled);
      };
      switch (switch step { case (#Ask look) await* ask(context, record.swap.id, look); case other other }) {
        case (#Stop outcome) return outcome;
        case _ {};
      };
      sends += 1;
      if (sends == maxSends) return #Waiting "the ledger did not come to an end";
    };
  };

  /// Sends the journaled transfer and writes down what became of it.
  func send(context : Context, record : Escrow.Record) : async* Step {
    let { id; phase; args } = record.swap;
    var written = false;
    Book.note(context.book, Escrow.sending(record, now()));
    try {
      let verdict = if (phase == #Funding) {
        let answer = await* Ledger.pull(args.ledger, Escrow.pullArgs(record, escrow(context, id)));
        Escrow.judgePull(record, answer, now());
      } else {
        let answer = await* Ledger.pay(args.ledger, Escrow.payArgs(record));
        Escrow.judgePayout(record, answer, now());
      };
      let step = apply(context, record, verdict);
      written := true;
      step;
    } finally {
      if (not written) Set.add(context.book.failed, Blob.compare, id);
    };
  };

  /// Asks for the escrow's balance and writes down what it means. Nothing moves, so a failure here changes nothing.
  func ask(context : Context, id : Blob, look : Escrow.Look) : async* Step {
    let record = Escrow.looking(Book.the(context.book, id), now());
    Book.note(context.book, record);
    switch (await* Ledger.balance(record.swap.args.ledger, escrow(context, id))) {
      case (#Amount balance) apply(context, record, Escrow.judgeBalance(look, balance));
      case (#NoAnswer why) #Stop(#Waiting why);
    };
  };

  /// Writes down a verdict on the transfer that `sent` journaled.
  func apply({ book; self } : Context, sent : Escrow.Record, verdict : Escrow.Verdict) : Step {
    let record = Book.the(book, sent.swap.id);
    if (record.journal.memo != sent.journal.memo or record.swap.phase != sent.swap.phase) return #Stop(#Settled); // it went on without us
    let time = now();
    switch verdict {
      case (#Done block) {
        if (record.swap.phase == #Funding) {
          ignore Book.write(book, Escrow.locked(record, block), Events.locked(record.swap, block), time);
        } else {
          let done = Escrow.paid(record, block);
          ignore Book.write(book, done, Events.paid(done.swap, block), time);
        };
        #Stop(#Settled);
      };
      case (#Failed reason) {
        ignore Book.write(book, Escrow.cancelled(record), Events.cancelled(record.swap, reason), time);
        #Stop(#Failed reason);
      };
      case (#Late) {
        ignore Book.write(book, Escrow.refunding(record, time), Events.refunding(record.swap, self, "late"), time);
        #Go;
      };
      case (#Contradiction why) {
        ignore Book.write(book, Escrow.quarantined(record), Events.quarantined(record.swap, record.journal.intent, why), time);
        #Stop(#Settled);
      };
      case (#Anew journal) {
        Book.note(book, { record with journal });
        #Go;
      };
      case (#Later { why; doubtful }) {
        Book.note(book, Escrow.waiting(record, doubtful));
        #Stop(#Waiting why);
      };
      case (#Look look) {
        Book.note(book, Escrow.waiting(record, sent.journal.doubtful));
        #Ask look;
      };
    };
  };

  /// A swap found unfunded after `fund_by`: no new pull, the balance decides.
  func late({ swap } : Escrow.Record) : Escrow.Look {
    { enough = Escrow.pulled(swap.args); ifThere = #Late; ifGone = #Failed "not funded by fund_by" };
  };
};
