/// The gate for what is new. It is never asked about what is on its way out: claims, refunds and their retries.
import Cycles "mo:core/Cycles";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Set "mo:core/Set";
import Access "Access";
import Book "Book";
import Errors "Errors";
import Escrow "Escrow";
import RateLimit "RateLimit";
import Terms "Terms";
import Types "Types";

module {
  public type State = {
    var config : Types.Config;
    var halted : Bool;
    haltedLedgers : Set.Set<Principal>;
    initiates : RateLimit.State;
    requests : RateLimit.State;
    excesses : RateLimit.State;
  };

  /// New swaps in a minute, of all callers together. Principals cost nothing and a swap that comes to nothing costs this canister 19 M cycles: so
  /// whoever floods it can spend so much of its cycles, and stop entry, but no more.
  let initiatesInAll = 600;

  let excessesPerMinute = 10; // a limit of its own: no configuration keeps anybody from his money

  public func new(config : Types.Config) : State = {
    var config;
    var halted = false;
    haltedLedgers = Set.empty<Principal>();
    initiates = RateLimit.new();
    requests = RateLimit.new();
    excesses = RateLimit.new();
  };

  /// Stops or lets on what is new: with one ledger, or all of it.
  public func setHalted(self : State, ledger : ?Principal, halted : Bool) {
    switch ledger {
      case null self.halted := halted;
      case (?one) if halted Set.add(self.haltedLedgers, Principal.compare, one) else Set.remove(self.haltedLedgers, Principal.compare, one);
    };
  };

  /// Whether too few cycles are left to take on more.
  public func isLow(self : State) : Bool = Cycles.balance() < self.config.min_cycles;

  /// What stands against funding a swap now; `old` is its record if it is known already.
  public func swap(self : State, book : Book.State, caller : Principal, args : Types.InitiateArgs, old : ?Escrow.Record, now : Nat64) : ?Types.Error {
    if (not Access.isLedger(self.config, args.ledger)) return ?Errors.request(#LedgerNotAllowed, "ledger: not one of those allowed");
    if (self.halted or Set.contains(self.haltedLedgers, Principal.compare, args.ledger)) return ?halted();
    if (isLow(self)) return ?lowCycles();
    let begins = switch old { case (?{ swap }) swap.phase == #Cancelled; case null true };
    if begins switch (Terms.times(args, self.config, now)) { case (?wrong) return ?Errors.invalid(wrong); case null {} };
    let isOpen = switch old { case (?{ swap }) Escrow.isOpen(swap.phase); case null false };
    if (not isOpen and Book.openOf(book, caller) >= self.config.limits.open_swaps_per_caller) {
      return ?Errors.request(#TooManyOpen, "at most " # self.config.limits.open_swaps_per_caller.toText() # " open swaps");
    };
    limited(RateLimit.takeOf(self.initiates, caller, self.config.limits.initiates_per_minute, initiatesInAll, now));
  };

  /// What stands against storing a marketplace's request now.
  public func request(self : State, caller : Principal, now : Nat64) : ?Types.Error {
    if (self.halted) return ?halted();
    if (isLow(self)) return ?lowCycles();
    limited(RateLimit.take(self.requests, caller, self.config.limits.requests_per_minute, now));
  };

  /// What stands against looking for money that was sent by mistake.
  public func excess(self : State, caller : Principal, now : Nat64) : ?Types.Error {
    limited(RateLimit.take(self.excesses, caller, excessesPerMinute, now));
  };

  func limited(wait : ?Nat64) : ?Types.Error {
    let ?retry_after_ns = wait else return null;
    ?Errors.temporary(#RateLimited { retry_after_ns }, "too many calls this minute");
  };

  func halted() : Types.Error = Errors.temporary(#Halted, "new swaps are stopped");

  func lowCycles() : Types.Error = Errors.temporary(#LowCycles, "the canister has too few cycles to take on more");
};
