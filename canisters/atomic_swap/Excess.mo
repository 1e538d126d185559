/// Gives back what lies in the escrow account of no open swap: sent by mistake, too much, or left over by a lower fee.
///
/// No journal is needed: what is sent is all there is, so it cannot be sent twice.
import Blob "mo:core/Blob";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Set "mo:core/Set";
import Book "Book";
import Errors "Errors";
import Escrow "Escrow";
import Events "Events";
import Ledger "Ledger";
import Settlement "Settlement";
import Types "Types";

module {
  type Context = Settlement.Context;

  /// What stands against it: the swap is open, or busy.
  public func refusal(context : Context, id : Blob) : ?Types.Error {
    if (Settlement.isBusy(context, id)) return ?Errors.busy();
    switch (Book.get(context.book, id)) {
      case (?{ swap }) if (Escrow.isOpen(swap.phase)) return ?Errors.request(#WrongPhase(swap.phase), "the swap is open");
      case null {};
    };
    null;
  };

  /// Sends all of it, and returns the ledger's block. The swap is busy meanwhile, so that it cannot begin under it.
  public func giveBack(context : Context, id : Blob, ledger : Principal, to : Types.Account) : async* Types.Answer<Nat> {
    Set.add(context.busy, Blob.compare, id);
    try { await* send(context, id, ledger, to) } finally { Settlement.release(context, id) };
  };

  func send(context : Context, id : Blob, ledger : Principal, to : Types.Account) : async* Types.Answer<Nat> {
    let #Amount fee = await* Ledger.fee(ledger) else return unavailable("the ledger does not tell its fee");
    let #Amount balance = await* Ledger.balance(ledger, Settlement.escrow(context, id)) else return unavailable("the ledger does not tell the balance");
    if (balance <= fee) return #Err(Errors.request(#NotFound, "there is nothing to return: the balance is " # balance.toText()));
    let amount = balance - fee : Nat;
    let args = { from_subaccount = ?id; to; amount; fee = ?fee; memo = null; created_at_time = ?Settlement.now() };
    switch (await* Ledger.pay(ledger, args)) {
      case (#Moved block) {
        Book.tell(context.book, Events.excessReturned(id, ledger, to, amount, block), Settlement.now());
        #Ok block;
      };
      case (#BadFee _ or #TooOld) unavailable("the ledger's fee or time changed");
      case (#NotNow why or #NotSent why or #Unknown why) unavailable(why);
      case (#Insufficient why or #Refused why) #Err(Errors.request(#LedgerRefused, why));
    };
  };

  func unavailable(why : Text) : Types.Answer<Nat> = #Err(Errors.temporary(#LedgerUnavailable, why));
};
