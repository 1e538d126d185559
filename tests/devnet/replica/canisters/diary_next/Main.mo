import Cycles "mo:core/Cycles";
import Debug "mo:core/Debug";
import Error "mo:core/Error";
import List "mo:core/List";
import Nat "mo:core/Nat";
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";
import Timer "mo:core/Timer";
import VarArray "mo:core/VarArray";

/// The next version of `diary`: one variable more, and a method that shows it.
persistent actor class Diary(init : { friend : Principal }) {
  type Friend = actor {
    bump : shared () -> async Nat;
    fail : shared () -> async ();
    missing : shared () -> async ();
  };

  type Management = actor {
    raw_rand : shared () -> async Blob;
    deposit_cycles : shared { canister_id : Principal } -> async ();
    create_canister : shared {} -> async { canister_id : Principal };
  };

  let friendId = init.friend;
  transient let management : Management = actor ("aaaaa-aa");
  transient let friend : Friend = actor (Principal.toText(friendId));

  let entries = List.empty<Text>();
  var ticks = 0;
  var cleanups = 0;
  var mood = "new";

  ignore Timer.setTimer<system>(#seconds 1000, func() : async () { ticks += 1000 });

  public func write(entry : Text) : async Nat { List.add(entries, entry); List.size(entries) };
  public query func read(at : Nat) : async ?Text { List.get(entries, at) };
  public func feel(now : Text) : async Text { let before = mood; mood := now; before };
  public query func count() : async Nat { List.size(entries) };
  public query func seen() : async { ticks : Nat; cleanups : Nat } { { ticks; cleanups } };
  public shared query ({ caller }) func who() : async Principal { caller };

  public func trapAtOnce() : async () { List.add(entries, "never"); Runtime.trap("at once") };
  public func trapAfterCall() : async () {
    List.add(entries, "before the call");
    ignore await friend.bump();
    List.add(entries, "never");
    Runtime.trap("after the call");
  };
  public func cleanUp() : async () {
    try { ignore await friend.bump(); Runtime.trap("in try") } finally { cleanups += 1 };
  };
  public func ask() : async Nat { await friend.bump() };
  public func failing() : async Text { try { await friend.fail(); "" } catch (e) { describe(e) } };
  public func missing() : async Text { try { await friend.missing(); "" } catch (e) { describe(e) } };
  func describe(e : Error) : Text { debug_show (Error.code(e)) # " " # Error.message(e) };

  public func arm(seconds : Nat) : async () {
    ignore Timer.setTimer<system>(#seconds seconds, func() : async () { ticks += 1; Debug.print("tick") });
  };
  public func repeat(seconds : Nat) : async () {
    ignore Timer.recurringTimer<system>(#seconds seconds, func() : async () { ticks += 1 });
  };
  public func random() : async Blob { await management.raw_rand() };
  public func feed(cycles : Nat) : async () {
    await (with cycles) management.deposit_cycles({ canister_id = friendId });
  };
  public func give_birth(cycles : Nat) : async Principal {
    (await (with cycles) management.create_canister({})).canister_id;
  };
  public func balance() : async Nat { Cycles.balance() };
  public func allocate(items : Nat) : async Nat { VarArray.repeat<Nat>(1, items).size() };
  public func allocateAndTrap(items : Nat) : async () {
    Runtime.trap(Nat.toText(VarArray.repeat<Nat>(1, items).size()));
  };
};
