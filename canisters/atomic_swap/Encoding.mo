/// Bytes of numbers and of CBOR, as far as this canister needs them.
import Blob "mo:core/Blob";
import List "mo:core/List";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Nat8 "mo:core/Nat8";
import VarArray "mo:core/VarArray";

module {
  /// Unsigned LEB128.
  ///
  /// ```motoko
  /// assert Encoding.leb128(624485) == "\E5\8E\26";
  /// ```
  public func leb128(number : Nat) : Blob {
    let bytes = List.empty<Nat8>();
    var rest = number;
    loop {
      let digit = Nat8.fromNat(rest % 128);
      rest /= 128;
      List.add(bytes, if (rest == 0) digit else digit | 0x80);
    } while (rest != 0);
    Blob.fromArray(List.toArray(bytes));
  };

  /// Signed LEB128.
  ///
  /// ```motoko
  /// assert Encoding.sleb128(-123456) == "\C0\BB\78";
  /// ```
  public func sleb128(number : Int) : Blob {
    let bytes = List.empty<Nat8>();
    var rest = number;
    label digits loop {
      let digit = Nat8.fromIntWrap(rest) & 0x7f;
      rest := (rest - digit.toNat()) / 128; // exact, so it rounds nowhere
      let done = (rest == 0 and digit & 0x40 == 0) or (rest == -1 and digit & 0x40 != 0);
      List.add(bytes, if done digit else digit | 0x80);
      if done break digits;
    };
    Blob.fromArray(List.toArray(bytes));
  };

  /// Big-endian, 8 bytes: sorted as bytes it is sorted as a number.
  public func bigEndian(number : Nat64) : Blob {
    let (a, b, c, d, e, f, g, h) = Nat64.explode(number);
    Blob.fromArray([a, b, c, d, e, f, g, h]);
  };

  /// Appends all bytes of a blob.
  public func append(bytes : List.List<Nat8>, blob : Blob) {
    for (byte in blob.vals()) List.add(bytes, byte);
  };

  /// Appends the head of a CBOR item (RFC 8949, section 3): its major type and a length below 2^32.
  public func cborHead(bytes : List.List<Nat8>, major : Nat8, length : Nat) {
    let kind = major << 5;
    if (length < 24) return List.add(bytes, kind | Nat8.fromNat(length));
    let (_, _, _, _, a, b, c, d) = Nat64.explode(Nat64.fromNat(length));
    let (info, tail) : (Nat8, [Nat8]) = if (length < 0x100) (24, [d]) else if (length < 0x10000) (25, [c, d]) else (26, [a, b, c, d]);
    List.add(bytes, kind | info);
    for (byte in tail.vals()) List.add(bytes, byte);
  };

  /// The bytes, after one byte with their number (below 256).
  public func sized(bytes : Blob) : Blob = concat([Blob.fromArray([Nat8.fromNat(bytes.size())]), bytes]);

  /// The bytes of several blobs one after the other.
  public func concat(parts : [Blob]) : Blob {
    var size = 0;
    for (part in parts.vals()) size += part.size();
    let bytes = VarArray.repeat<Nat8>(0, size);
    var at = 0;
    for (part in parts.vals()) {
      let end = part.size();
      var i = 0;
      while (i < end) { bytes[at] := part[i]; at += 1; i += 1 };
    };
    Blob.fromVarArray(bytes);
  };
};
