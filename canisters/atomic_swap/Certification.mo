/// What the subnet signs for this canister: the tip of the event log and every swap.
///
/// The tree is `fork(fork("last_block_hash", "last_block_index"), "swaps" → T)`. T is a perfect binary tree of 16 levels over the first
/// 16 bits of a swap's id, most significant first, 0 to the left. Every level is a real fork, also over nothing, and below it are 65,536
/// buckets: so a change costs 16 forks, however many swaps there are. What is below a bucket is `Store`'s: a trie over the other bits. A witness
/// follows the bits of an id to where it has to be, and shows what is there: so it proves absence too.
///
/// The digests of T are in stable memory: node 1 is its root, nodes 2n and 2n+1 are below node n, 65,536 onwards are the buckets.
import CertifiedData "mo:core/CertifiedData";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Nat8 "mo:core/Nat8";
import Region "mo:core/Region";
import Encoding "Encoding";
import HashTree "HashTree";
import Sha256 "Sha256";

module {
  public type Digest = Sha256.Digest;

  public type State = { nodes : Region.Region };

  /// Hash and index of the newest event.
  public type Tip = { hash : Blob; index : Nat };

  let buckets = 65_536;
  let digestSize : Nat64 = 32;
  let pageSize : Nat64 = 65_536;

  /// A tree without swaps. Costs 4 MiB of stable memory.
  public func new() : State {
    let nodes = Region.new();
    ignore Region.grow(nodes, 2 * Nat64.fromNat(buckets) * digestSize / pageSize);
    var digest = HashTree.empty();
    var first = buckets; // of the level, which is as long
    loop {
      fill(nodes, first, digest);
      digest := HashTree.fork(digest, digest);
      first /= 2;
    } while (first > 0);
    { nodes };
  };

  /// The bucket of a swap, 0 to 65,535.
  public func bucketOf(id : Blob) : Nat = id[0].toNat() * 256 + id[1].toNat();

  /// Writes down the digest that a bucket has now.
  public func setBucket(self : State, bucket : Nat, bucketDigest : Digest) {
    var node = buckets + bucket;
    var digest = bucketDigest;
    write(self.nodes, node, digest);
    while (node > 1) {
      let sibling = read(self.nodes, beside(node));
      digest := if (node % 2 == 0) HashTree.fork(digest, sibling) else HashTree.fork(sibling, digest);
      node /= 2;
      write(self.nodes, node, digest);
    };
  };

  /// The root hash over everything, for `certified_data`.
  public func root(self : State, tip : Tip) : Blob = Sha256.toBlob(HashTree.fork(HashTree.digest(tipTree(tip)), swapsDigest(self)));

  /// Hands the root hash to the subnet, which signs it with this message's effects.
  public func certify(self : State, tip : Tip) = CertifiedData.set(root(self, tip));

  /// Shows the tip of the log (ICRC-3, `icrc3_get_tip_certificate`).
  public func tipWitness(self : State, tip : Tip) : Blob = HashTree.encode(#Fork(tipTree(tip), #Pruned(swapsDigest(self))));

  /// Shows a bucket, as `below` shows what is in it.
  public func bucketWitness(self : State, tip : Tip, bucket : Nat, below : HashTree.Tree) : Blob {
    var node = buckets + bucket;
    var tree = below;
    while (node > 1) {
      let sibling = #Pruned(read(self.nodes, beside(node)));
      tree := if (node % 2 == 0) #Fork(tree, sibling) else #Fork(sibling, tree);
      node /= 2;
    };
    HashTree.encode(#Fork(#Pruned(HashTree.digest(tipTree(tip))), #Labelled("swaps", tree)));
  };

  func tipTree({ hash; index } : Tip) : HashTree.Tree {
    #Fork(#Labelled("last_block_hash", #Leaf hash), #Labelled("last_block_index", #Leaf(Encoding.leb128(index))));
  };

  func swapsDigest(self : State) : Digest = HashTree.labelled("swaps", read(self.nodes, 1));

  func beside(node : Nat) : Nat = if (node % 2 == 0) node + 1 else node - 1;

  // -- digests in stable memory: eight words as four numbers

  func read(nodes : Region.Region, node : Nat) : Digest {
    let at = Nat64.fromNat(node) * digestSize;
    let (a, b, c, d) = (Region.loadNat64(nodes, at), Region.loadNat64(nodes, at + 8), Region.loadNat64(nodes, at + 16), Region.loadNat64(nodes, at + 24));
    [var high(a), low(a), high(b), low(b), high(c), low(c), high(d), low(d)];
  };

  func write(nodes : Region.Region, node : Nat, words : Digest) {
    let at = Nat64.fromNat(node) * digestSize;
    Region.storeNat64(nodes, at, pair(words[0], words[1]));
    Region.storeNat64(nodes, at + 8, pair(words[2], words[3]));
    Region.storeNat64(nodes, at + 16, pair(words[4], words[5]));
    Region.storeNat64(nodes, at + 24, pair(words[6], words[7]));
  };

  /// Writes one digest to nodes `first` to `2 * first - 1`, by doubling what is there.
  func fill(nodes : Region.Region, first : Nat, digest : Digest) {
    write(nodes, first, digest);
    let start = Nat64.fromNat(first) * digestSize;
    var done = 1;
    while (done < first) {
      let more = Nat.min(done, 1024);
      Region.storeBlob(nodes, start + Nat64.fromNat(done) * digestSize, Region.loadBlob(nodes, start, more * 32));
      done += more;
    };
  };

  func high(number : Nat64) : Nat64 = number >> 32;
  func low(number : Nat64) : Nat64 = number & 0xffffffff;
  func pair(a : Nat64, b : Nat64) : Nat64 = (a << 32) | b;
};
