/// Swaps in stable memory, found by their id: so that the heap, and the garbage collector's work, hold only what is open.
///
/// A swap has a slot of fixed size: its id, the digest of its certified leaf, the number of the next slot in its bucket (plus one, 0 if
/// there is none), and its record in Candid. Buckets are those of `Certification`; a bucket's slots are linked in the order of ids.
import Array "mo:core/Array";
import Blob "mo:core/Blob";
import List "mo:core/List";
import Nat "mo:core/Nat";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import Region "mo:core/Region";
import Runtime "mo:core/Runtime";
import Cells "Cells";
import Certification "Certification";
import Sha256 "Sha256";

module {
  public type State = {
    heads : Region.Region; // eight bytes a bucket: number of its first slot plus one, 0 if it is empty
    slots : Region.Region;
    var count : Nat;
  };

  /// What one slot can hold. A record of the largest numbers and names that pass validation has 960 bytes.
  public let maxRecord = 1_400;

  let slotSize : Nat64 = 1_536;
  let leafAt : Nat64 = 32;
  let nextAt : Nat64 = 64;
  let lengthAt : Nat64 = 72;
  let recordAt : Nat64 = 76;
  let idSize = 32;
  let buckets = 65_536;
  let none : Nat64 = 0;

  public func new() : State {
    let heads = Region.new();
    Cells.grow(heads, Nat64.fromNat(buckets) * 8);
    { heads; slots = Region.new(); var count = 0 };
  };

  /// The record stored for an id.
  public func get(self : State, id : Blob) : ?Blob {
    let at = find(self, id).at;
    if (at == none) null else ?record(self, at);
  };

  /// Stores a record under its id, over the older one if there is one. Traps if it is too large.
  public func put(self : State, id : Blob, candid : Blob) {
    if (candid.size() > maxRecord) Runtime.trap("the record is too large");
    let { at; before } = find(self, id);
    let slot = offset(if (at == none) insert(self, id, before) else at);
    Region.storeNat32(self.slots, slot + lengthAt, Nat32.fromNat(candid.size()));
    Region.storeBlob(self.slots, slot + recordAt, candid);
  };

  /// Stores the digest of a swap's leaf; the swap is there already.
  public func putLeaf(self : State, id : Blob, leaf : Sha256.Digest) {
    let at = find(self, id).at;
    if (at == none) Runtime.trap("no swap to certify");
    Region.storeBlob(self.slots, offset(at) + leafAt, Sha256.toBlob(leaf));
  };

  /// What a bucket holds, in the order of ids.
  public func bucket(self : State, number : Nat) : [Certification.Entry] {
    let entries = List.empty<Certification.Entry>();
    var at = head(self, number);
    while (at != none) {
      List.add(entries, { id = idOf(self, at); leaf = Sha256.fromBlob(Region.loadBlob(self.slots, offset(at) + leafAt, 32)) });
      at := next(self, at);
    };
    List.toArray(entries);
  };

  /// Up to `limit` records in the order of ids, from the id `start` on, and the id after them.
  public func page(self : State, start : Blob, limit : Nat) : { records : [Blob]; next : ?Blob } {
    let records = List.empty<Blob>();
    var number = Certification.bucketOf(start);
    while (number < buckets) {
      var at = head(self, number);
      while (at != none) {
        let id = idOf(self, at);
        if (id >= start) {
          if (List.size(records) == limit) return { records = List.toArray(records); next = ?id };
          List.add(records, record(self, at));
        };
        at := next(self, at);
      };
      number += 1;
    };
    { records = List.toArray(records); next = null };
  };

  // -- slots, by number plus one

  /// Where an id is (`none` if it is nowhere), and the slot before that place in its bucket.
  func find(self : State, id : Blob) : { at : Nat64; before : Nat64 } {
    var before = none;
    var at = head(self, Certification.bucketOf(id));
    while (at != none) {
      let here = idOf(self, at);
      if (here == id) return { at; before };
      if (here > id) return { at = none; before };
      before := at;
      at := next(self, at);
    };
    { at = none; before };
  };

  /// Links a new slot in behind `before`.
  func insert(self : State, id : Blob, before : Nat64) : Nat64 {
    self.count += 1;
    let at = Nat64.fromNat(self.count);
    Cells.grow(self.slots, at * slotSize);
    let number = Certification.bucketOf(id);
    Region.storeBlob(self.slots, offset(at), id);
    if (before == none) {
      Region.storeNat64(self.slots, offset(at) + nextAt, head(self, number));
      Region.storeNat64(self.heads, Nat64.fromNat(number) * 8, at);
    } else {
      Region.storeNat64(self.slots, offset(at) + nextAt, next(self, before));
      Region.storeNat64(self.slots, offset(before) + nextAt, at);
    };
    at;
  };

  func offset(at : Nat64) : Nat64 = (at - 1) * slotSize;
  func head(self : State, number : Nat) : Nat64 = Region.loadNat64(self.heads, Nat64.fromNat(number) * 8);
  func next(self : State, at : Nat64) : Nat64 = Region.loadNat64(self.slots, offset(at) + nextAt);
  func idOf(self : State, at : Nat64) : Blob = Region.loadBlob(self.slots, offset(at), idSize);
  func record(self : State, at : Nat64) : Blob {
    Region.loadBlob(self.slots, offset(at) + recordAt, Nat32.toNat(Region.loadNat32(self.slots, offset(at) + lengthAt)));
  };
};
