/// The event log: blocks of ICRC-3, each holding its forerunner's hash, in stable memory. Nothing is ever changed or removed.
import Array "mo:core/Array";
import Blob "mo:core/Blob";
import List "mo:core/List";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Region "mo:core/Region";
import Runtime "mo:core/Runtime";
import Cells "Cells";
import Types "Types";
import Value "Value";

module {
  public type Value = Types.Value;

  public type State = {
    blocks : Cells.State; // Candid of each block
    places : Region.Region; // eight bytes a block: where it is
    var length : Nat;
    var tip : Blob; // hash of the newest block; meaningless while there is none
  };

  /// What happened: its block type and what there is to know about it.
  public type Event = { btype : Text; tx : [(Text, Value)] };

  let maxBlocks = 100; // in one answer
  let maxBytes = 1_000_000; // in one answer; a reply holds 2 MB or 3 MB
  let pointer : Nat64 = 8;

  public func new() : State = { blocks = Cells.new(); places = Region.new(); var length = 0; var tip = "" };

  /// Adds a block, and returns its index. `now` in nanoseconds.
  public func append(self : State, event : Event, now : Nat64) : Nat {
    let fields = [("btype", #Text(event.btype)), ("ts", #Nat(Nat64.toNat(now))), ("tx", #Map(event.tx))];
    let block : Value = #Map(if (self.length == 0) fields else Array.concat<(Text, Value)>([("phash", #Blob(self.tip))], fields));
    let index = self.length;
    Cells.grow(self.places, Nat64.fromNat(index + 1) * pointer);
    Region.storeNat64(self.places, Nat64.fromNat(index) * pointer, Cells.append(self.blocks, to_candid (block)));
    self.tip := Value.hash(block);
    self.length += 1;
    index;
  };

  /// Takes memory for `events` more blocks of up to `size` bytes now, so that they can be written when there is none to be had.
  public func reserve(self : State, events : Nat, size : Nat) {
    Cells.reserve(self.blocks, Nat64.fromNat(events * size));
    Cells.grow(self.places, Nat64.fromNat(self.length + events) * pointer);
  };

  /// The blocks of the ranges that exist, in the order asked for, as far as they fit into one answer.
  public func read(self : State, ranges : Types.Ranges) : [{ id : Nat; block : Value }] {
    let found = List.empty<{ id : Nat; block : Value }>();
    var bytes = 0;
    for ({ start; length } in ranges.vals()) {
      var index = start;
      let end = Nat.min(start + length, self.length);
      while (index < end) {
        let candid = at(self, index);
        bytes += candid.size();
        if (List.size(found) == maxBlocks or (bytes > maxBytes and List.size(found) > 0)) return List.toArray(found);
        List.add(found, { id = index; block = decode(candid) });
        index += 1;
      };
    };
    List.toArray(found);
  };

  func at(self : State, index : Nat) : Blob = Cells.read(self.blocks, Region.loadNat64(self.places, Nat64.fromNat(index) * pointer));

  func decode(candid : Blob) : Value {
    let block : ?Value = from_candid (candid);
    switch block { case (?value) value; case null Runtime.trap("the log cannot be read") };
  };
};
