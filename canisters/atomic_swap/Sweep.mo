/// The canister's own look at what is due: refunds whose deadline has come, transfers that got no answer. A convenience; anyone may do the same.
///
/// Each swap is taken up in a message of its own, so that one that fails, or whose ledger is silent, holds up no other.
import Array "mo:core/Array";
import Nat "mo:core/Nat";
import Iter "mo:core/Iter";
import Map "mo:core/Map";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Set "mo:core/Set";
import Agenda "Agenda";
import Book "Book";
import Escrow "Escrow";
import Settlement "Settlement";

module {
  /// How many swaps the sweep has under way, by ledger.
  public type State = { var last : Nat64; underWay : Map.Map<Principal, Nat> };

  let perRun = 20;
  let perLedger = 20; // under way at a time: a silent ledger keeps no more

  public func new() : State = { var last = 0; underWay = Map.empty<Principal, Nat>() };

  /// The swaps to take up in this run: those that failed, then those that are due. Each of these is put off already, so that it is not at the head of the agenda whatever becomes of it.
  public func due(self : State, context : Settlement.Context, now : Nat64) : [Blob] {
    self.last := now;
    let { agenda; failed } = context.book;
    let dueNow = Agenda.due(agenda, now, perRun).filter(
      func(id) {
        let record = Book.the(context.book, id);
        Book.note(context.book, { record with due = now + Escrow.wait(record.journal.tries + 1) });
        not Settlement.isBusy(context, id) and count(self, record.swap.args.ledger) < perLedger;
      }
    );
    Array.concat(Iter.toArray(Iter.take(Set.values(failed), perRun)), dueNow);
  };

  /// Counts one that begins, or that ended.
  public func begun(self : State, ledger : Principal) = set(self, ledger, count(self, ledger) + 1);
  public func ended(self : State, ledger : Principal) = set(self, ledger, count(self, ledger) - 1);

  func count(self : State, ledger : Principal) : Nat = switch (Map.get(self.underWay, Principal.compare, ledger)) { case (?some) some; case null 0 };

  func set(self : State, ledger : Principal, number : Nat) {
    if (number == 0) Map.remove(self.underWay, Principal.compare, ledger) else Map.add(self.underWay, Principal.compare, ledger, number);
  };
};
