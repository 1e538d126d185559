/// ICRC-3's hash of a value, which does not depend on how the value is encoded (section "Value").
import Array "mo:core/Array";
import Order "mo:core/Order";
import Principal "mo:core/Principal";
import Text "mo:core/Text";
import Encoding "Encoding";
import Sha256 "Sha256";
import Types "Types";

module {
  public type Value = Types.Value;

  /// The representation-independent hash.
  ///
  /// ```motoko
  /// assert Value.hash(#Text "abc") == Sha256.hash("abc");
  /// ```
  public func hash(value : Value) : Blob = Sha256.toBlob(digest(value));

  func digest(value : Value) : Sha256.Digest {
    switch value {
      case (#Blob bytes) Sha256.digest(bytes);
      case (#Text text) Sha256.digest(Text.encodeUtf8(text));
      case (#Nat number) Sha256.digest(Encoding.leb128(number));
      case (#Int number) Sha256.digest(Encoding.sleb128(number));
      case (#Array items) Sha256.digestOf(Array.map<Value, Sha256.Digest>(items, digest));
      case (#Map entries) digestMap(entries);
    };
  };

  /// Entries as pairs of hashes, sorted by the key's, then by the value's.
  func digestMap(entries : [(Text, Value)]) : Sha256.Digest {
    let pairs = Array.map<(Text, Value), Pair>(entries, func(key, value) = (Sha256.digest(Text.encodeUtf8(key)), digest(value)));
    let sorted = Array.sort<Pair>(pairs, comparePairs);
    Sha256.digestOf(Array.tabulate<Sha256.Digest>(2 * sorted.size(), func i = if (i % 2 == 0) sorted[i / 2].0 else sorted[i / 2].1));
  };

  type Pair = (Sha256.Digest, Sha256.Digest);

  func comparePairs(a : Pair, b : Pair) : Order.Order {
    switch (Sha256.compare(a.0, b.0)) { case (#equal) Sha256.compare(a.1, b.1); case order order };
  };

  // -- building values

  public func principal(who : Principal) : Value = #Blob(who.toBlob());

  public func flag(on : Bool) : Value = #Nat(if on 1 else 0);

  public func account(of : Types.Account) : Value = #Map(present([("owner", ?principal(of.owner)), ("subaccount", blob(of.subaccount))]));

  public func blob(maybe : ?Blob) : ?Value = switch maybe { case (?bytes) ?#Blob bytes; case null null };

  public func nat(maybe : ?Nat) : ?Value = switch maybe { case (?number) ?#Nat number; case null null };

  /// Entries of a Map without those that have no value.
  public func present(entries : [(Text, ?Value)]) : [(Text, Value)] {
    Array.filterMap<(Text, ?Value), (Text, Value)>(entries, func(key, maybe) = switch maybe { case (?value) ?(key, value); case null null });
  };
};
