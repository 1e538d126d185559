/// How often one caller may do something: so many times in each minute of the clock. Forgotten with the minute, and on upgrade.
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";

module {
  public type State = { var minute : Nat64; var counts : Map.Map<Principal, Nat>; var all : Nat };

  let minuteNs : Nat64 = 60_000_000_000;

  public func new() : State = { var minute = 0; var counts = Map.empty<Principal, Nat>(); var all = 0 };

  /// Counts one. Null: it may go on; else how many nanoseconds it is too early.
  public func take(self : State, caller : Principal, perMinute : Nat, now : Nat64) : ?Nat64 = takeOf(self, caller, perMinute, perMinute * 1_000_000, now);

  /// The same, with a limit for all callers together.
  public func takeOf(self : State, caller : Principal, perMinute : Nat, inAll : Nat, now : Nat64) : ?Nat64 {
    if (now / minuteNs != self.minute) {
      self.minute := now / minuteNs;
      self.counts := Map.empty<Principal, Nat>();
      self.all := 0;
    };
    let count = switch (Map.get(self.counts, Principal.compare, caller)) { case (?some) some; case null 0 };
    if (count >= perMinute or self.all >= inAll) return ?((self.minute + 1) * minuteNs - now);
    Map.add(self.counts, Principal.compare, caller, count + 1);
    self.all += 1;
    null;
  };
};
