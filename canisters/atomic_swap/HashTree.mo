/// Hash trees of the Internet Computer (interface specification, "Certification": encoding and root hash).
import Blob "mo:core/Blob";
import List "mo:core/List";
import Nat8 "mo:core/Nat8";
import Encoding "Encoding";
import Sha256 "Sha256";

module {
  public type Digest = Sha256.Digest;

  /// A tree, or what is left of it when branches nobody asked for are pruned to their digest.
  public type Tree = {
    #Empty;
    #Fork : (Tree, Tree);
    #Labelled : (Blob, Tree);
    #Leaf : Blob;
    #Pruned : Digest;
  };

  /// The digest of a tree with nothing in it.
  public func empty() : Digest = Sha256.digest("\11ic-hashtree-empty");

  /// Of the 17 bytes `\10ic-hashtree-fork` and both digests: 81 bytes, so that each word straddles two. Done by hand: it is the one that counts.
  public func fork(l : Digest, r : Digest) : Digest {
    let state = Sha256.start();
    let block : [var Nat64] = [
      var 0x1069632d, 0x68617368, 0x74726565, 0x2d666f72,
      0x6b000000 | (l[0] >> 8), both(l[0], l[1]), both(l[1], l[2]), both(l[2], l[3]), both(l[3], l[4]), both(l[4], l[5]), both(l[5], l[6]), both(l[6], l[7]),
      both(l[7], r[0]), both(r[0], r[1]), both(r[1], r[2]), both(r[2], r[3]),
    ];
    Sha256.compress(state, block);
    let rest : [var Nat64] = [
      var both(r[3], r[4]), both(r[4], r[5]), both(r[5], r[6]), both(r[6], r[7]), ((r[7] & 0xff) << 24) | 0x800000, 0, 0, 0,
      0, 0, 0, 0, 0, 0, 0, 81 * 8,
    ];
    Sha256.compress(state, rest);
    state;
  };

  public func labelled(name : Blob, below : Digest) : Digest {
    Sha256.digestAfter(Encoding.concat(["\13ic-hashtree-labeled", name]), Sha256.toBlob(below));
  };

  public func leaf(content : Blob) : Digest = Sha256.digestAfter("\10ic-hashtree-leaf", content);

  /// The last byte of one word and the first three of the next.
  func both(first : Nat64, second : Nat64) : Nat64 = ((first & 0xff) << 24) | (second >> 8);

  /// The root hash of a tree, pruned or not.
  public func digest(tree : Tree) : Digest {
    switch tree {
      case (#Empty) empty();
      case (#Fork(left, right)) fork(digest(left), digest(right));
      case (#Labelled(name, below)) labelled(name, digest(below));
      case (#Leaf content) leaf(content);
      case (#Pruned words) words;
    };
  };

  /// The tree in CBOR, self-described (tag 55799).
  public func encode(tree : Tree) : Blob {
    let bytes = List.empty<Nat8>();
    Encoding.append(bytes, "\D9\D9\F7");
    write(bytes, tree);
    Blob.fromArray(List.toArray(bytes));
  };

  func write(bytes : List.List<Nat8>, tree : Tree) {
    switch tree {
      case (#Empty) open(bytes, 1, 0);
      case (#Fork(left, right)) { open(bytes, 3, 1); write(bytes, left); write(bytes, right) };
      case (#Labelled(name, below)) { open(bytes, 3, 2); writeBytes(bytes, name); write(bytes, below) };
      case (#Leaf content) { open(bytes, 2, 3); writeBytes(bytes, content) };
      case (#Pruned words) { open(bytes, 2, 4); writeBytes(bytes, Sha256.toBlob(words)) };
    };
  };

  /// An array of `items` that begins with the number of the node's kind.
  func open(bytes : List.List<Nat8>, items : Nat, kind : Nat) {
    Encoding.cborHead(bytes, 4, items);
    Encoding.cborHead(bytes, 0, kind);
  };

  func writeBytes(bytes : List.List<Nat8>, blob : Blob) {
    Encoding.cborHead(bytes, 2, blob.size());
    Encoding.append(bytes, blob);
  };
};
