/// What callers may do with swaps: every check before the first `await`, then the money.
import Blob "mo:core/Blob";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Set "mo:core/Set";
import Book "Book";
import Entry "Entry";
import Errors "Errors";
import Escrow "Escrow";
import Events "Events";
import Ledger "Ledger";
import Settlement "Settlement";
import Sha256 "Sha256";
import Terms "Terms";
import Types "Types";

module {
  type Context = Settlement.Context;
  type Result = Types.Result;

  /// Begins a swap, or answers for the one that has these very arguments.
  public func initiate(context : Context, entry : Entry.State, caller : Principal, args : Types.InitiateArgs, note : ?Blob) : async* Result {
    if (caller.isAnonymous()) return #Err(Errors.anonymous());
    if (not Terms.isNote(note)) return #Err(Errors.invalid("note: at most 64 bytes"));
    switch (Terms.terms(args, context.self)) { case (?wrong) return #Err(Errors.invalid(wrong)); case null {} };
    let id = Terms.swapId(context.self, caller, args.nonce);
    Settlement.attend(context, id);
    let now = Settlement.now();
    let old = Book.get(context.book, id);
    let busy = Settlement.isBusy(context, id);
    let record = switch old {
      case null Escrow.begin(id, caller, args, now);
      case (?known) {
        if (known.swap.args != args) return #Err(Errors.request(#NonceReused, "this nonce stands for other terms"));
        switch (known.swap.phase) {
          case (#Funding) if (busy or now >= args.fund_by) return #Ok(known.swap) else known;
          case (#Cancelled) if (now >= args.fund_by) return #Ok(known.swap) else Escrow.beginAgain(known, now);
          case _ return #Ok(known.swap);
        };
      };
    };
    if (busy or Settlement.isCrowded(context)) return #Err(Errors.busy());
    switch (Entry.swap(entry, context.book, caller, args, old, now)) { case (?error) return #Err error; case null {} };
    Book.reserve(context.book, 1);
    if (not isFunding(old)) ignore Book.write(context.book, record, Events.funding(record.swap, note), now);
    await* settled(context, id, #Locked);
  };

  /// Claims with the secret, for the recipient.
  public func complete(context : Context, caller : Principal, id : Blob, secret : Blob) : async* Result {
    if (caller.isAnonymous()) return #Err(Errors.anonymous());
    if (secret.size() != 32) return #Err(Errors.invalid("secret: 32 bytes"));
    Settlement.attend(context, id);
    let ?record = Book.get(context.book, id) else return #Err(Errors.noSwap());
    let { swap } = record;
    if (swap.phase != #Locked and swap.phase != #Claiming and swap.phase != #Claimed) return #Err(wrongPhase(swap));
    if (Sha256.hash(secret) != swap.args.hashlock) return #Err(Errors.request(#WrongSecret, "its SHA-256 is not the hashlock"));
    if (swap.phase == #Claimed) return #Ok swap;
    if (Settlement.isBusy(context, id)) return #Err(Errors.busy());
    let now = Settlement.now();
    if (swap.phase == #Locked) ignore Book.write(context.book, Escrow.claiming(record, secret, now), Events.claiming(swap, secret, caller), now);
    await* settled(context, id, #Claimed);
  };

  /// Pays back: to be had by anyone from the deadline on, and at any time by the recipient.
  public func refund(context : Context, caller : Principal, id : Blob) : async* Result {
    if (caller.isAnonymous()) return #Err(Errors.anonymous());
    Settlement.attend(context, id);
    let ?record = Book.get(context.book, id) else return #Err(Errors.noSwap());
    let { swap } = record;
    if (swap.phase == #Refunded) return #Ok swap;
    if (swap.phase != #Locked and swap.phase != #Refunding) return #Err(wrongPhase(swap));
    if (Settlement.isBusy(context, id)) return #Err(Errors.busy());
    if (swap.phase == #Locked) {
      let now = Settlement.now();
      let due = now >= swap.args.deadline;
      if (not due and caller != swap.args.recipient.owner) {
        return #Err(Errors.request(#DeadlineNotReached, "the deadline is " # swap.args.deadline.toText() # ", now is " # now.toText()));
      };
      beginRefund(context, record, caller, if due "due" else "consent", now);
    };
    await* settled(context, id, #Refunded);
  };

  /// Takes up what is journaled for a swap. A swap with nothing to take up is answered as it is.
  public func resume(context : Context, caller : Principal, id : Blob) : async* Result {
    if (caller.isAnonymous()) return #Err(Errors.anonymous());
    Settlement.attend(context, id);
    let ?{ swap } = Book.get(context.book, id) else return #Err(Errors.noSwap());
    switch (swap.phase) {
      case (#Quarantined _) return #Err(wrongPhase(swap));
      case (#Funding or #Claiming or #Refunding) {
        if (Settlement.isBusy(context, id) or Settlement.isCrowded(context)) return #Err(Errors.busy());
        let aim = switch (swap.phase) { case (#Funding) #Locked; case (#Claiming) #Claimed; case _ #Refunded };
        await* settled(context, id, aim);
      };
      case _ #Ok swap;
    };
  };

  /// The arbiter's word on a swap in quarantine, believed only if the escrow's balance says the same. The payee is what it always was.
  public func resolve(context : Context, caller : Principal, id : Blob, block : ?Nat) : async* Result {
    Settlement.attend(context, id);
    let ?{ swap } = Book.get(context.book, id) else return #Err(Errors.noSwap());
    let #Quarantined intent = swap.phase else return #Err(wrongPhase(swap));
    if (Settlement.isBusy(context, id)) return #Err(Errors.busy());
    Set.add(context.busy, Blob.compare, id);
    let told = try { await* Ledger.balance(swap.args.ledger, Settlement.escrow(context, id)) } finally { Settlement.release(context, id) };
    let balance = switch told {
      case (#Amount amount) amount;
      case (#NoAnswer why) return #Err(Errors.temporary(#LedgerUnavailable, why));
    };
    let record = Book.the(context.book, id);
    if (record.swap.phase != swap.phase) return #Err(wrongPhase(record.swap));
    let now = Settlement.now();
    let there = balance >= record.journal.amount + (if (intent == #Funding) 0 else record.journal.fee);
    let next = switch (intent, block, there) {
      case (#Funding, ?_, true) Escrow.locked(record, block);
      case (#Funding, null, false) Escrow.cancelled(record);
      case (#Claiming or #Refunding, ?_, false) Escrow.paid(record, block);
      case (#Claiming or #Refunding, null, true) Escrow.released(record, now);
      case _ return #Err(Errors.invalid("paid_in_block: the escrow's balance of " # balance.toText() # " says otherwise"));
    };
    let resolved = Book.write(context.book, next, Events.resolved(next.swap, caller, block), now);
    if (block != null or intent == #Funding) return #Ok(resolved.swap);
    await* settled(context, id, if (intent == #Claiming) #Claimed else #Refunded);
  };

  /// Begins to take up a swap that is due, of the canister's own accord.
  public func sweep(context : Context, id : Blob) : async* () {
    Settlement.attend(context, id);
    let ?record = Book.get(context.book, id) else return;
    if (Settlement.isBusy(context, id)) return;
    let now = Settlement.now();
    if (record.swap.phase == #Locked) {
      if (now < record.swap.args.deadline) return;
      beginRefund(context, record, context.self, "due", now);
    };
    ignore await* Settlement.settle(context, id);
  };

  func beginRefund({ book } : Context, record : Escrow.Record, by : Principal, why : Text, now : Nat64) {
    ignore Book.write(book, Escrow.refunding(record, now), Events.refunding(record.swap, by, why), now);
  };

  /// Moves the money and says how it ended: Ok in the phase that was aimed at.
  func settled(context : Context, id : Blob, aim : Types.Phase) : async* Result {
    let outcome = await* Settlement.settle(context, id);
    let { swap } = Book.the(context.book, id);
    if (swap.phase == aim) return #Ok swap;
    switch outcome {
      case (#Waiting why) #Err(Errors.temporary(#LedgerUnavailable, why));
      case (#Failed why) #Err(Errors.request(#LedgerRefused, why));
      case (#Settled) #Err(wrongPhase(swap));
    };
  };

  func wrongPhase(swap : Types.Swap) : Types.Error = Errors.request(#WrongPhase(swap.phase), "the swap is in another phase");

  func isFunding(record : ?Escrow.Record) : Bool = switch record { case (?{ swap }) swap.phase == #Funding; case null false };
};
