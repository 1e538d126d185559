/// What is due when: open swaps in the order of the time the canister should look at them by itself.
import Array "mo:core/Array";
import Blob "mo:core/Blob";
import List "mo:core/List";
import Nat64 "mo:core/Nat64";
import Set "mo:core/Set";
import Encoding "Encoding";

module {
  /// Keys of 40 bytes, eight of time and 32 of id: sorted as bytes they are sorted by time.
  public type State = Set.Set<Blob>;

  /// The time of what is never due.
  public let never : Nat64 = 0;

  public func new() : State = Set.empty<Blob>();

  /// Moves a swap from one time to another.
  public func move(self : State, id : Blob, from : Nat64, to : Nat64) {
    if (from == to) return;
    if (from != never) Set.remove(self, Blob.compare, key(from, id));
    if (to != never) Set.add(self, Blob.compare, key(to, id));
  };

  /// Up to `limit` ids that are due at `now`, the oldest first.
  public func due(self : State, now : Nat64, limit : Nat) : [Blob] {
    let ids = List.empty<Blob>();
    let end = Encoding.bigEndian(now + 1);
    for (entry in Set.values(self)) {
      if (List.size(ids) == limit or entry >= end) return List.toArray(ids);
      List.add(ids, idOf(entry));
    };
    List.toArray(ids);
  };

  func key(time : Nat64, id : Blob) : Blob = Encoding.concat([Encoding.bigEndian(time), id]);

  func idOf(entry : Blob) : Blob {
    let bytes = entry.toArray();
    Blob.fromArray(bytes.sliceToArray(8, bytes.size()));
  };
};
