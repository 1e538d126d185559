/// The canister's own look at what is due: refunds whose deadline has come, transfers that got no answer. A convenience; anyone may do the same.
///
/// Each swap is taken up in a message of its own, so that one that fails, or whose ledger is silent, holds up no other.
import Iter "mo:core/Iter";
import List "mo:core/List";
import Map "mo:core/Map";
import Nat "mo:core/Nat";
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

  let perRun = 20; // taken up
  let scanned = 500; // looked at
  let perLedger = 20; // when so many are under way, no more are begun: a silent ledger keeps no more than twice that

  public func new() : State = { var last = 0; underWay = Map.empty<Principal, Nat>() };

  /// The swaps to take up in this run: those that failed, and those that are due. What is looked at is put off, whatever becomes of it: so it is
  /// not at the head of the agenda the next time. What waits for its ledger is put off for longest.
  public func due(self : State, context : Settlement.Context, now : Nat64) : [Blob] {
    self.last := now;
    let { agenda; failed } = context.book;
    let taken = List.fromIter<Blob>(Iter.take(Set.values(failed), perRun));
    for (id in Agenda.due(agenda, now, scanned).vals()) {
      if (List.size(taken) >= perRun) return List.toArray(taken);
      let record = Book.the(context.book, id);
      let { ledger } = record.swap.args;
      let waits = Settlement.isBusy(context, id) or count(self, ledger) >= perLedger;
      Book.note(context.book, { record with due = now + (if waits Escrow.longestWait else Escrow.wait(record.journal.tries + 1)) });
      if (not waits) List.add(taken, id);
    };
    List.toArray(taken);
  };

  /// Counts one that begins, or that ended. In the message of its own: if that traps, it is not counted.
  public func ended(self : State, ledger : Principal) = set(self, ledger, count(self, ledger) - 1);
  public func begun(self : State, ledger : Principal) = set(self, ledger, count(self, ledger) + 1);

  func count(self : State, ledger : Principal) : Nat = switch (Map.get(self.underWay, Principal.compare, ledger)) { case (?some) some; case null 0 };

  func set(self : State, ledger : Principal, number : Nat) {
    if (number == 0) Map.remove(self.underWay, Principal.compare, ledger) else Map.add(self.underWay, Principal.compare, ledger, number);
  };
};
