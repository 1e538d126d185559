/// All that is known of swaps, kept together: a change of phase is a new event in the log, the swap's new record, its certified leaf, the
/// agenda and the counts, in one message. What outlives an upgrade is in here.
import Array "mo:core/Array";
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";
import Set "mo:core/Set";
import Agenda "Agenda";
import Certification "Certification";
import Escrow "Escrow";
import HashTree "HashTree";
import Log "Log";
import Store "Store";
import Types "Types";

module {
  type Record = Escrow.Record;

  public type State = {
    store : Store.State;
    log : Log.State;
    tree : Certification.State;
    agenda : Agenda.State;
    failed : Set.Set<Blob>; // the canister trapped at a ledger's answer, and could not say so
    openOf : Map.Map<Principal, Nat>; // by initiator
    var open : Nat;
    var quarantined : Nat;
  };

  public func new() : State = {
    store = Store.new();
    log = Log.new();
    tree = Certification.new();
    agenda = Agenda.new();
    failed = Set.empty<Blob>();
    openOf = Map.empty<Principal, Nat>();
    var open = 0;
    var quarantined = 0;
  };

  /// The record of a swap; none has an id of another length.
  public func get(self : State, id : Blob) : ?Record {
    if (id.size() != 32) return null;
    let ?candid = Store.get(self.store, id) else return null;
    ?decode(candid);
  };

  /// The record of a swap that is known to exist.
  public func the(self : State, id : Blob) : Record {
    switch (get(self, id)) { case (?record) record; case null Runtime.trap("no such swap") };
  };

  /// Stores what nobody outside sees of a swap: its journal, and when it is due.
  public func note(self : State, record : Record) {
    Agenda.move(self.agenda, record.swap.id, the(self, record.swap.id).due, record.due);
    Store.put(self.store, record.swap.id, to_candid (record));
  };

  /// Stores a swap in its new phase, with the event that says how it came there. Returns it as stored.
  public func write(self : State, changed : Record, event : Log.Event, now : Nat64) : Record {
    let { swap } = changed;
    let old = get(self, swap.id);
    count(self, swap.initiator, phaseOf(old), ?swap.phase);
    Agenda.move(self.agenda, swap.id, dueOf(old), changed.due);
    let record = { changed with swap = { swap with last_event = Log.append(self.log, event, now) } };
    Store.put(self.store, swap.id, to_candid (record));
    let bucket = Store.putLeaf(self.store, swap.id, HashTree.leaf(to_candid (record.swap)));
    Certification.setBucket(self.tree, Certification.bucketOf(swap.id), bucket);
    certify(self);
    record;
  };

  /// Logs an event that changes no swap.
  public func tell(self : State, event : Log.Event, now : Nat64) {
    ignore Log.append(self.log, event, now);
    certify(self);
  };

  /// Takes memory now for all events that open swaps and `more` others may still need.
  public func reserve(self : State, more : Nat) = Log.reserve(self.log, (self.open + more) * eventsOfASwap, eventSize);

  /// Hands the root hash to the subnet. The system forgets it on upgrade.
  public func certify(self : State) = Certification.certify(self.tree, tip(self));

  /// Hash and index of the newest event; there always is one.
  public func tip({ log } : State) : Certification.Tip = { hash = log.tip; index = log.length - 1 };

  /// The swap, if there is one, and the witness for it or for there being none.
  public func show(self : State, id : Blob) : { swap : ?Types.Swap; witness : Blob } {
    let swap = switch (get(self, id)) { case (?{ swap }) ?swap; case null null };
    let certified = switch swap { case (?some) ?to_candid (some); case null null };
    let below = Store.witness(self.store, id, certified);
    { swap; witness = Certification.bucketWitness(self.tree, tip(self), Certification.bucketOf(id), below) };
  };

  /// Up to `limit` swaps that fit, out of the next `scan` ones in the order of ids, and where to go on.
  public func list(self : State, start : Blob, limit : Nat, scan : Nat, fits : Types.Swap -> Bool) : { swaps : [Types.Swap]; next : ?Blob } {
    var found : [Types.Swap] = [];
    let { records; next } = Store.page(self.store, start, scan);
    for (candid in records.vals()) {
      let { swap } = decode(candid);
      if (fits(swap)) {
        if (found.size() == limit) return { swaps = found; next = ?swap.id };
        found := Array.concat<Types.Swap>(found, [swap]);
      };
    };
    { swaps = found; next };
  };

  /// How many open swaps somebody initiated.
  public func openOf(self : State, initiator : Principal) : Nat {
    switch (Map.get(self.openOf, Principal.compare, initiator)) { case (?some) some; case null 0 };
  };

  let eventsOfASwap = 3; // after it is open: locked, claiming and claimed, or the like
  let eventSize = 600;

  func decode(candid : Blob) : Record {
    let record : ?Record = from_candid (candid);
    switch record { case (?some) some; case null Runtime.trap("a record cannot be read") };
  };

  func phaseOf(record : ?Record) : ?Types.Phase = switch record { case (?{ swap }) ?swap.phase; case null null };

  func dueOf(record : ?Record) : Nat64 = switch record { case (?{ due }) due; case null Agenda.never };

  func count(self : State, initiator : Principal, old : ?Types.Phase, new : ?Types.Phase) {
    if (isQuarantined(old)) self.quarantined -= 1;
    if (isQuarantined(new)) self.quarantined += 1;
    if (isOpen(old) == isOpen(new)) return;
    let mine = openOf(self, initiator);
    if (isOpen(new)) {
      self.open += 1;
      Map.add(self.openOf, Principal.compare, initiator, mine + 1);
    } else {
      self.open -= 1;
      if (mine == 1) Map.remove(self.openOf, Principal.compare, initiator) else Map.add(self.openOf, Principal.compare, initiator, mine - 1 : Nat);
    };
  };

  func isOpen(phase : ?Types.Phase) : Bool = switch phase { case (?some) Escrow.isOpen(some); case null false };

  func isQuarantined(phase : ?Types.Phase) : Bool = switch phase { case (?#Quarantined _) true; case _ false };
};
