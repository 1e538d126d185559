/// Swaps in stable memory, found by their id: so that the heap, and the garbage collector's work, hold only what is open.
///
/// A swap has a slot of fixed size: its id, the digests of its certified leaf, and its record in Candid. Slots are found through 65,536 buckets,
/// by the first 16 bits of the id; below a bucket stands a binary trie over the other bits, 0 to the left, in which a swap stands as high as it is
/// alone. So whoever makes ids that resemble a swap's pays 2ⁿ hashes to put it n levels deeper, and makes it n forks dearer, no more.
///
/// `HashTree` gives the trie its digests: nothing is `Empty`, a swap is its labelled leaf, a branch is a fork.
import Blob "mo:core/Blob";
import List "mo:core/List";
import Nat "mo:core/Nat";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import Nat8 "mo:core/Nat8";
import Region "mo:core/Region";
import Runtime "mo:core/Runtime";
import Cells "Cells";
import Certification "Certification";
import HashTree "HashTree";
import Sha256 "Sha256";

module {
  public type State = {
    heads : Region.Region; // eight bytes a bucket: what stands there
    branches : Region.Region;
    slots : Region.Region;
    var count : Nat; // of slots
    var branchCount : Nat64;
  };

  /// What stands somewhere in the trie: 0 nothing, odd a swap's slot, even a branch; the number of the slot or branch from 1 on, times two.
  type Ref = Nat64;

  /// The way to an id: the branches passed, from the top, and what stands at its end, after that many bits.
  type Way = { passed : List.List<Nat64>; end : Ref; depth : Nat };

  /// What one slot can hold. A record of the largest numbers and names that pass validation has 850 bytes.
  public let maxRecord = 1_400;

  let slotSize : Nat64 = 1_536;
  let leafAt : Nat64 = 32; // digest of the leaf
  let labelledAt : Nat64 = 64; // digest of the label with the leaf
  let lengthAt : Nat64 = 96;
  let recordAt : Nat64 = 100;
  let idSize = 32;

  let branchSize : Nat64 = 48; // left, right, digest
  let digestAt : Nat64 = 16;
  let buckets = 65_536;
  let bucketBits = 16;
  let none : Ref = 0;

  public func new() : State {
    let heads = Region.new();
    Cells.grow(heads, Nat64.fromNat(buckets) * 8);
    { heads; branches = Region.new(); slots = Region.new(); var count = 0; var branchCount = 0 };
  };

  /// The record stored for an id.
  public func get(self : State, id : Blob) : ?Blob {
    let { end } = walk(self, id);
    if (isSlot(end) and idOf(self, end) == id) ?record(self, end) else null;
  };

  /// Stores a record under its id, over the older one if there is one. Traps if it is too large.
  public func put(self : State, id : Blob, candid : Blob) {
    if (candid.size() > maxRecord) Runtime.trap("the record is too large");
    let way = walk(self, id);
    let known = isSlot(way.end) and idOf(self, way.end) == id;
    let slot = slotOffset(if known way.end else insert(self, id, way));
    Region.storeNat32(self.slots, slot + lengthAt, Nat32.fromNat(candid.size()));
    Region.storeBlob(self.slots, slot + recordAt, candid);
  };

  /// Stores the digest of a swap's leaf, the swap being there already, and returns the digest of its bucket.
  public func putLeaf(self : State, id : Blob, leaf : Sha256.Digest) : Sha256.Digest {
    let { passed; end } = walk(self, id);
    if (not isSlot(end) or idOf(self, end) != id) Runtime.trap("no swap to certify");
    var digest = HashTree.labelled(id, leaf);
    storeDigest(self.slots, slotOffset(end) + leafAt, leaf);
    storeDigest(self.slots, slotOffset(end) + labelledAt, digest);
    var depth = bucketBits + List.size(passed) : Nat;
    for (branch in List.reverseValues(passed)) {
      depth -= 1;
      let sibling = digestOf(self, child(self, branch, not bit(id, depth)));
      digest := if (bit(id, depth)) HashTree.fork(sibling, digest) else HashTree.fork(digest, sibling);
      storeDigest(self.branches, branchOffset(branch) + digestAt, digest);
    };
    digest;
  };

  /// What shows, of a bucket, one swap, `candid` being its certified bytes, or that there is none: the way to where it would be, and what is there.
  public func witness(self : State, id : Blob, candid : ?Blob) : HashTree.Tree {
    let { passed; end } = walk(self, id);
    var tree : HashTree.Tree = if (end == none) #Empty else switch candid {
      case (?content) #Labelled(id, #Leaf content);
      case null #Labelled(idOf(self, end), #Pruned(loadDigest(self.slots, slotOffset(end) + leafAt)));
    };
    var depth = bucketBits + List.size(passed) : Nat;
    for (branch in List.reverseValues(passed)) {
      depth -= 1;
      let other = child(self, branch, not bit(id, depth));
      let sibling : HashTree.Tree = if (other == none) #Empty else #Pruned(digestOf(self, other));
      tree := if (bit(id, depth)) #Fork(sibling, tree) else #Fork(tree, sibling);
    };
    tree;
  };

  /// Up to `limit` records in the order of ids, from the id `start` on, and the id after them.
  public func page(self : State, start : Blob, limit : Nat) : { records : [Blob]; next : ?Blob } {
    let page : Page = { records = List.empty<Blob>(); limit; start; var next = null };
    let first = Certification.bucketOf(start);
    collect(self, page, head(self, first), bucketBits, true);
    var number = first + 1;
    while (number < buckets and page.next == null) {
      collect(self, page, head(self, number), bucketBits, false);
      number += 1;
    };
    { records = List.toArray(page.records); next = page.next };
  };

  type Page = { records : List.List<Blob>; limit : Nat; start : Blob; var next : ?Blob };

  /// `edge`: all bits so far are those of the start, so that what is left of it does not belong to the page.
  func collect(self : State, page : Page, ref : Ref, depth : Nat, edge : Bool) {
    if (ref == none or page.next != null) return;
    if (isSlot(ref)) {
      let id = idOf(self, ref);
      if (edge and id < page.start) return;
      if (List.size(page.records) == page.limit) page.next := ?id else List.add(page.records, record(self, ref));
      return;
    };
    let right = edge and bit(page.start, depth);
    if (not right) collect(self, page, child(self, ref / 2, false), depth + 1, edge);
    collect(self, page, child(self, ref / 2, true), depth + 1, right);
  };

  // -- the trie

  func walk(self : State, id : Blob) : Way {
    let passed = List.empty<Nat64>();
    var end = head(self, Certification.bucketOf(id));
    var depth = bucketBits;
    while (end != none and not isSlot(end)) {
      List.add(passed, end / 2);
      end := child(self, end / 2, bit(id, depth));
      depth += 1;
    };
    { passed; end; depth };
  };

  /// Puts a new slot at the end of its way. A swap that is there already goes down with it, until their ids part.
  func insert(self : State, id : Blob, way : Way) : Ref {
    self.count += 1;
    let mine = Nat64.fromNat(self.count) * 2 + 1;
    Cells.grow(self.slots, Nat64.fromNat(self.count) * slotSize);
    Region.storeBlob(self.slots, slotOffset(mine), id);
    hang(self, id, way, if (way.end == none) mine else parted(self, id, mine, idOf(self, way.end), way.end, way.depth));
    mine;
  };

  /// Branches from `depth` on, until the two ids part.
  func parted(self : State, id : Blob, mine : Ref, otherId : Blob, other : Ref, depth : Nat) : Ref {
    let right = bit(id, depth);
    if (right != bit(otherId, depth)) return if right branch(self, other, mine) else branch(self, mine, other);
    let below = parted(self, id, mine, otherId, other, depth + 1);
    if right branch(self, none, below) else branch(self, below, none);
  };

  /// A new branch; it gets its digest with the new swap's leaf.
  func branch(self : State, left : Ref, right : Ref) : Ref {
    self.branchCount += 1;
    Cells.grow(self.branches, self.branchCount * branchSize);
    Region.storeNat64(self.branches, branchOffset(self.branchCount), left);
    Region.storeNat64(self.branches, branchOffset(self.branchCount) + 8, right);
    self.branchCount * 2;
  };

  /// Makes `ref` stand at the end of a way.
  func hang(self : State, id : Blob, way : Way, ref : Ref) {
    switch (List.last(way.passed)) {
      case (?last) Region.storeNat64(self.branches, branchOffset(last) + (if (bit(id, way.depth - 1)) 8 else 0), ref);
      case null Region.storeNat64(self.heads, Nat64.fromNat(Certification.bucketOf(id)) * 8, ref);
    };
  };

  func digestOf(self : State, ref : Ref) : Sha256.Digest {
    if (ref == none) return HashTree.empty();
    if (isSlot(ref)) loadDigest(self.slots, slotOffset(ref) + labelledAt) else loadDigest(self.branches, branchOffset(ref / 2) + digestAt);
  };

  /// Bit `number` of an id, the most significant of its first byte being 0.
  func bit(id : Blob, number : Nat) : Bool = (id[number / 8] >> Nat8.fromNat(7 - number % 8)) & 1 == 1;

  // -- where things are

  func isSlot(ref : Ref) : Bool = ref & 1 == 1;
  func slotOffset(ref : Ref) : Nat64 = (ref / 2 - 1) * slotSize;
  func branchOffset(number : Nat64) : Nat64 = (number - 1) * branchSize;
  func head(self : State, number : Nat) : Ref = Region.loadNat64(self.heads, Nat64.fromNat(number) * 8);
  func child(self : State, number : Nat64, right : Bool) : Ref = Region.loadNat64(self.branches, branchOffset(number) + (if right 8 else 0));
  func idOf(self : State, ref : Ref) : Blob = Region.loadBlob(self.slots, slotOffset(ref), idSize);
  func storeDigest(region : Region.Region, at : Nat64, digest : Sha256.Digest) = Region.storeBlob(region, at, Sha256.toBlob(digest));
  func loadDigest(region : Region.Region, at : Nat64) : Sha256.Digest = Sha256.fromBlob(Region.loadBlob(region, at, 32));
  func record(self : State, ref : Ref) : Blob {
    let slot = slotOffset(ref);
    Region.loadBlob(self.slots, slot + recordAt, Nat32.toNat(Region.loadNat32(self.slots, slot + lengthAt)));
  };
};
