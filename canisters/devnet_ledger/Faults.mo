/// Misbehaviour on demand: what the next calls of a method are to suffer, so that tests can show what its callers do.
import Array "mo:core/Array";
import Types "Types";
import Accounts "Accounts";

module {
  type Account = Types.Account;

  public type Fault = {
    #Err : Types.CommonError; // this answer, and nothing moves
    #RejectBefore; // a reject, and nothing moves
    #RejectAfter; // a reject, although it moved
    #TrapBefore; // a trap, and nothing moves
    #TrapAfter; // a trap, although it moved
    #Late : Nat; // done, but the answer is held back for so many rounds of messages, or until `release`
    #WrongBlock : Nat; // done, but the answer names this block
    #Unmoved : Nat; // the answer says that it is done in this block, but nothing moves
  };

  /// `method` by its Candid name; `account` if only calls in which it takes part are meant.
  public type Plan = { method : Text; account : ?Account; faults : [Fault] };

  type Entry = { method : Text; account : ?Account; fault : Fault };
  public type Faults = { var planned : [Entry] };

  public func none() : Faults = { var planned = [] };

  /// From now on `plan` holds, in the place of an earlier one for the same method and account.
  public func set(faults : Faults, plan : Plan) {
    let { method } = plan;
    let account = switch (plan.account) { case (?given) ?Accounts.canonical(given); case null null };
    let others = Array.filter<Entry>(faults.planned, func(entry) = entry.method != method or entry.account != account);
    let entries = Array.map<Fault, Entry>(plan.faults, func(fault) = { method; account; fault });
    faults.planned := Array.concat(others, entries);
  };

  /// The next fault of a call of `method` in which `parties` take part; it stays the next one.
  public func peek(faults : Faults, method : Text, parties : [Account]) : ?Fault {
    let ?entry = Array.find<Entry>(faults.planned, func(entry) = concerns(entry, method, parties)) else return null;
    ?entry.fault;
  };

  /// `peek`, but the fault is used up.
  public func take(faults : Faults, method : Text, parties : [Account]) : ?Fault {
    let fault = peek(faults, method, parties);
    var taken = false;
    faults.planned := Array.filter<Entry>(
      faults.planned,
      func(entry) {
        let first = not taken and concerns(entry, method, parties);
        if (first) taken := true;
        not first;
      },
    );
    fault;
  };

  func concerns(entry : Entry, method : Text, parties : [Account]) : Bool {
    if (entry.method != method) return false;
    let ?account = entry.account else return true;
    Array.any<Account>(parties, func(party) = Accounts.canonical(party) == account);
  };
};
