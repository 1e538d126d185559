/// SHA-256 (FIPS 180-4), written for few Wasm instructions: hashing is most of what this canister does.
///
/// While it works, a 32-bit word `x` is *doubled* in a Nat64, as `x << 32 | x`: then a 64-bit rotation is a 32-bit rotation of both halves,
/// `^ & |` keep the doubling, and only a sum has to be doubled again. The rounds are unrolled, sixteen in a block, so that the eight
/// registers and sixteen message words stay local variables: 8,700 instructions a block of 64 bytes, where a loop takes 19,000.
import Blob "mo:core/Blob";
import Nat "mo:core/Nat";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import Nat8 "mo:core/Nat8";
import Order "mo:core/Order";
import VarArray "mo:core/VarArray";

module {
  /// Eight big-endian words, as FIPS 180-4 writes a hash. Each is below 2^32.
  public type Digest = [var Nat64];

  let low : Nat64 = 0xffffffff;

  /// SHA-256 of `data`, 32 bytes.
  ///
  /// ```motoko
  /// assert Sha256.hash("abc").size() == 32;
  /// ```
  public func hash(data : Blob) : Blob = toBlob(digest(data));

  /// SHA-256 of `data` as words.
  public func digest(data : Blob) : Digest = digestAfter("", data);

  /// SHA-256 of `prefix` and `data`, one after the other.
  public func digestAfter(prefix : Blob, data : Blob) : Digest {
    let before = prefix.size();
    let size = before + data.size();
    let byte = func(i : Nat) : Nat64 {
      if (i < before) wide(prefix[i]) else if (i < size) wide(data[i - before]) else if (i == size) 0x80 else 0;
    };
    let state = start();
    let block = VarArray.repeat<Nat64>(0, 16);
    let last = (size + 8) / 64; // the block that ends with the length
    var number = 0;
    while (number <= last) {
      var at = number * 64;
      var word = 0;
      while (word < 16) {
        block[word] := if (at >= before and at + 4 <= size) {
          let i : Nat = at - before;
          (wide(data[i]) << 24) | (wide(data[i + 1]) << 16) | (wide(data[i + 2]) << 8) | wide(data[i + 3]);
        } else if (at > size) 0 else (byte(at) << 24) | (byte(at + 1) << 16) | (byte(at + 2) << 8) | byte(at + 3);
        at += 4;
        word += 1;
      };
      if (number == last) setLength(block, size);
      compress(state, block);
      number += 1;
    };
    state;
  };

  /// SHA-256 of hashes, one after the other.
  public func digestOf(hashes : [Digest]) : Digest {
    let state = start();
    let block = VarArray.repeat<Nat64>(0, 16);
    var second = false; // whether the next hash goes into the second half of the block
    for (words in hashes.vals()) {
      let at = if second 8 else 0;
      var word = 0;
      while (word < 8) { block[at + word] := words[word]; word += 1 };
      if second compress(state, block);
      second := not second;
    };
    let at = if second 8 else 0;
    block[at] := 0x80000000;
    var word = at + 1;
    while (word < 14) { block[word] := 0; word += 1 };
    setLength(block, hashes.size() * 32);
    compress(state, block);
    state;
  };

  /// The state before the first block; the state after the last one is the hash.
  public func start() : Digest = [var 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

  /// The order of the bytes.
  public func compare(a : Digest, b : Digest) : Order.Order {
    var i = 0;
    while (i < 8) {
      if (a[i] != b[i]) return if (a[i] < b[i]) #less else #greater;
      i += 1;
    };
    #equal;
  };

  /// The 32 bytes of a hash.
  public func toBlob(words : Digest) : Blob {
    let bytes = VarArray.repeat<Nat8>(0, 32);
    var i = 0;
    for (word in words.vals()) {
      let (a, b, c, d) = Nat32.explode(Nat64.toNat32(word));
      bytes[i] := a;
      bytes[i + 1] := b;
      bytes[i + 2] := c;
      bytes[i + 3] := d;
      i += 4;
    };
    Blob.fromVarArray(bytes);
  };

  /// A hash from its 32 bytes.
  public func fromBlob(bytes : Blob) : Digest {
    let word = func(i : Nat) : Nat64 = (wide(bytes[i]) << 24) | (wide(bytes[i + 1]) << 16) | (wide(bytes[i + 2]) << 8) | wide(bytes[i + 3]);
    [var word(0), word(4), word(8), word(12), word(16), word(20), word(24), word(28)];
  };

  func wide(byte : Nat8) : Nat64 = Nat64.fromNat8(byte);

  /// Ends the last block with the length in bits.
  func setLength(block : [var Nat64], bytes : Nat) {
    let bits = Nat64.fromNat(bytes) << 3;
    block[14] := bits >> 32;
    block[15] := bits & low;
  };

  /// Takes one block of 16 words into the state. Words are below 2^32.
  public func compress(state : [var Nat64], block : [var Nat64]) {
    var w0 = block[0]; var w1 = block[1]; var w2 = block[2]; var w3 = block[3];
    var w4 = block[4]; var w5 = block[5]; var w6 = block[6]; var w7 = block[7];
    var w8 = block[8]; var w9 = block[9]; var w10 = block[10]; var w11 = block[11];
    var w12 = block[12]; var w13 = block[13]; var w14 = block[14]; var w15 = block[15];
    var a = state[0]; var b = state[1]; var c = state[2]; var d = state[3];
    var e = state[4]; var f = state[5]; var g = state[6]; var h = state[7];
    a |= a << 32; b |= b << 32; c |= c << 32; d |= d << 32; e |= e << 32; f |= f << 32; g |= g << 32; h |= h << 32;
    w0 |= w0 << 32; w1 |= w1 << 32; w2 |= w2 << 32; w3 |= w3 << 32; w4 |= w4 << 32; w5 |= w5 << 32; w6 |= w6 << 32; w7 |= w7 << 32;
    w8 |= w8 << 32; w9 |= w9 << 32; w10 |= w10 << 32; w11 |= w11 << 32; w12 |= w12 << 32; w13 |= w13 << 32; w14 |= w14 << 32; w15 |= w15 << 32;
    var t : Nat64 = 0;
    do { // rounds 0 to 15
      t := h +% ((e <>> 6) ^ (e <>> 11) ^ (e <>> 25)) +% (g ^ (e & (f ^ g))) +% 0x428a2f98 +% w0; d +%= t; d := (d & low) | (d << 32);
      h := t +% ((a <>> 2) ^ (a <>> 13) ^ (a <>> 22)) +% ((a & b) | (c & (a | b))); h := (h & low) | (h << 32);
      t := g +% ((d <>> 6) ^ (d <>> 11) ^ (d <>> 25)) +% (f ^ (d & (e ^ f))) +% 0x71374491 +% w1; c +%= t; c := (c & low) | (c << 32);
      g := t +% ((h <>> 2) ^ (h <>> 13) ^ (h <>> 22)) +% ((h & a) | (b & (h | a))); g := (g & low) | (g << 32);
      t := f +% ((c <>> 6) ^ (c <>> 11) ^ (c <>> 25)) +% (e ^ (c & (d ^ e))) +% 0xb5c0fbcf +% w2; b +%= t; b := (b & low) | (b << 32);
      f := t +% ((g <>> 2) ^ (g <>> 13) ^ (g <>> 22)) +% ((g & h) | (a & (g | h))); f := (f & low) | (f << 32);
      t := e +% ((b <>> 6) ^ (b <>> 11) ^ (b <>> 25)) +% (d ^ (b & (c ^ d))) +% 0xe9b5dba5 +% w3; a +%= t; a := (a & low) | (a << 32);
      e := t +% ((f <>> 2) ^ (f <>> 13) ^ (f <>> 22)) +% ((f & g) | (h & (f | g))); e := (e & low) | (e << 32);
      t := d +% ((a <>> 6) ^ (a <>> 11) ^ (a <>> 25)) +% (c ^ (a & (b ^ c))) +% 0x3956c25b +% w4; h +%= t; h := (h & low) | (h << 32);
      d := t +% ((e <>> 2) ^ (e <>> 13) ^ (e <>> 22)) +% ((e & f) | (g & (e | f))); d := (d & low) | (d << 32);
      t := c +% ((h <>> 6) ^ (h <>> 11) ^ (h <>> 25)) +% (b ^ (h & (a ^ b))) +% 0x59f111f1 +% w5; g +%= t; g := (g & low) | (g << 32);
      c := t +% ((d <>> 2) ^ (d <>> 13) ^ (d <>> 22)) +% ((d & e) | (f & (d | e))); c := (c & low) | (c << 32);
      t := b +% ((g <>> 6) ^ (g <>> 11) ^ (g <>> 25)) +% (a ^ (g & (h ^ a))) +% 0x923f82a4 +% w6; f +%= t; f := (f & low) | (f << 32);
      b := t +% ((c <>> 2) ^ (c <>> 13) ^ (c <>> 22)) +% ((c & d) | (e & (c | d))); b := (b & low) | (b << 32);
      t := a +% ((f <>> 6) ^ (f <>> 11) ^ (f <>> 25)) +% (h ^ (f & (g ^ h))) +% 0xab1c5ed5 +% w7; e +%= t; e := (e & low) | (e << 32);
      a := t +% ((b <>> 2) ^ (b <>> 13) ^ (b <>> 22)) +% ((b & c) | (d & (b | c))); a := (a & low) | (a << 32);
      t := h +% ((e <>> 6) ^ (e <>> 11) ^ (e <>> 25)) +% (g ^ (e & (f ^ g))) +% 0xd807aa98 +% w8; d +%= t; d := (d & low) | (d << 32);
      h := t +% ((a <>> 2) ^ (a <>> 13) ^ (a <>> 22)) +% ((a & b) | (c & (a | b))); h := (h & low) | (h << 32);
      t := g +% ((d <>> 6) ^ (d <>> 11) ^ (d <>> 25)) +% (f ^ (d & (e ^ f))) +% 0x12835b01 +% w9; c +%= t; c := (c & low) | (c << 32);
      g := t +% ((h <>> 2) ^ (h <>> 13) ^ (h <>> 22)) +% ((h & a) | (b & (h | a))); g := (g & low) | (g << 32);
      t := f +% ((c <>> 6) ^ (c <>> 11) ^ (c <>> 25)) +% (e ^ (c & (d ^ e))) +% 0x243185be +% w10; b +%= t; b := (b & low) | (b << 32);
      f := t +% ((g <>> 2) ^ (g <>> 13) ^ (g <>> 22)) +% ((g & h) | (a & (g | h))); f := (f & low) | (f << 32);
      t := e +% ((b <>> 6) ^ (b <>> 11) ^ (b <>> 25)) +% (d ^ (b & (c ^ d))) +% 0x550c7dc3 +% w11; a +%= t; a := (a & low) | (a << 32);
      e := t +% ((f <>> 2) ^ (f <>> 13) ^ (f <>> 22)) +% ((f & g) | (h & (f | g))); e := (e & low) | (e << 32);
      t := d +% ((a <>> 6) ^ (a <>> 11) ^ (a <>> 25)) +% (c ^ (a & (b ^ c))) +% 0x72be5d74 +% w12; h +%= t; h := (h & low) | (h << 32);
      d := t +% ((e <>> 2) ^ (e <>> 13) ^ (e <>> 22)) +% ((e & f) | (g & (e | f))); d := (d & low) | (d << 32);
      t := c +% ((h <>> 6) ^ (h <>> 11) ^ (h <>> 25)) +% (b ^ (h & (a ^ b))) +% 0x80deb1fe +% w13; g +%= t; g := (g & low) | (g << 32);
      c := t +% ((d <>> 2) ^ (d <>> 13) ^ (d <>> 22)) +% ((d & e) | (f & (d | e))); c := (c & low) | (c << 32);
      t := b +% ((g <>> 6) ^ (g <>> 11) ^ (g <>> 25)) +% (a ^ (g & (h ^ a))) +% 0x9bdc06a7 +% w14; f +%= t; f := (f & low) | (f << 32);
      b := t +% ((c <>> 2) ^ (c <>> 13) ^ (c <>> 22)) +% ((c & d) | (e & (c | d))); b := (b & low) | (b << 32);
      t := a +% ((f <>> 6) ^ (f <>> 11) ^ (f <>> 25)) +% (h ^ (f & (g ^ h))) +% 0xc19bf174 +% w15; e +%= t; e := (e & low) | (e << 32);
      a := t +% ((b <>> 2) ^ (b <>> 13) ^ (b <>> 22)) +% ((b & c) | (d & (b | c))); a := (a & low) | (a << 32);
    };
    do { // rounds 16 to 31
      w0 +%= ((w1 <>> 7) ^ (w1 <>> 18) ^ ((w1 & low) >> 3)) +% w9 +% ((w14 <>> 17) ^ (w14 <>> 19) ^ ((w14 & low) >> 10)); w0 := (w0 & low) | (w0 << 32);
      t := h +% ((e <>> 6) ^ (e <>> 11) ^ (e <>> 25)) +% (g ^ (e & (f ^ g))) +% 0xe49b69c1 +% w0; d +%= t; d := (d & low) | (d << 32);
      h := t +% ((a <>> 2) ^ (a <>> 13) ^ (a <>> 22)) +% ((a & b) | (c & (a | b))); h := (h & low) | (h << 32);
      w1 +%= ((w2 <>> 7) ^ (w2 <>> 18) ^ ((w2 & low) >> 3)) +% w10 +% ((w15 <>> 17) ^ (w15 <>> 19) ^ ((w15 & low) >> 10)); w1 := (w1 & low) | (w1 << 32);
      t := g +% ((d <>> 6) ^ (d <>> 11) ^ (d <>> 25)) +% (f ^ (d & (e ^ f))) +% 0xefbe4786 +% w1; c +%= t; c := (c & low) | (c << 32);
      g := t +% ((h <>> 2) ^ (h <>> 13) ^ (h <>> 22)) +% ((h & a) | (b & (h | a))); g := (g & low) | (g << 32);
      w2 +%= ((w3 <>> 7) ^ (w3 <>> 18) ^ ((w3 & low) >> 3)) +% w11 +% ((w0 <>> 17) ^ (w0 <>> 19) ^ ((w0 & low) >> 10)); w2 := (w2 & low) | (w2 << 32);
      t := f +% ((c <>> 6) ^ (c <>> 11) ^ (c <>> 25)) +% (e ^ (c & (d ^ e))) +% 0x0fc19dc6 +% w2; b +%= t; b := (b & low) | (b << 32);
      f := t +% ((g <>> 2) ^ (g <>> 13) ^ (g <>> 22)) +% ((g & h) | (a & (g | h))); f := (f & low) | (f << 32);
      w3 +%= ((w4 <>> 7) ^ (w4 <>> 18) ^ ((w4 & low) >> 3)) +% w12 +% ((w1 <>> 17) ^ (w1 <>> 19) ^ ((w1 & low) >> 10)); w3 := (w3 & low) | (w3 << 32);
      t := e +% ((b <>> 6) ^ (b <>> 11) ^ (b <>> 25)) +% (d ^ (b & (c ^ d))) +% 0x240ca1cc +% w3; a +%= t; a := (a & low) | (a << 32);
      e := t +% ((f <>> 2) ^ (f <>> 13) ^ (f <>> 22)) +% ((f & g) | (h & (f | g))); e := (e & low) | (e << 32);
      w4 +%= ((w5 <>> 7) ^ (w5 <>> 18) ^ ((w5 & low) >> 3)) +% w13 +% ((w2 <>> 17) ^ (w2 <>> 19) ^ ((w2 & low) >> 10)); w4 := (w4 & low) | (w4 << 32);
      t := d +% ((a <>> 6) ^ (a <>> 11) ^ (a <>> 25)) +% (c ^ (a & (b ^ c))) +% 0x2de92c6f +% w4; h +%= t; h := (h & low) | (h << 32);
      d := t +% ((e <>> 2) ^ (e <>> 13) ^ (e <>> 22)) +% ((e & f) | (g & (e | f))); d := (d & low) | (d << 32);
      w5 +%= ((w6 <>> 7) ^ (w6 <>> 18) ^ ((w6 & low) >> 3)) +% w14 +% ((w3 <>> 17) ^ (w3 <>> 19) ^ ((w3 & low) >> 10)); w5 := (w5 & low) | (w5 << 32);
      t := c +% ((h <>> 6) ^ (h <>> 11) ^ (h <>> 25)) +% (b ^ (h & (a ^ b))) +% 0x4a7484aa +% w5; g +%= t; g := (g & low) | (g << 32);
      c := t +% ((d <>> 2) ^ (d <>> 13) ^ (d <>> 22)) +% ((d & e) | (f & (d | e))); c := (c & low) | (c << 32);
      w6 +%= ((w7 <>> 7) ^ (w7 <>> 18) ^ ((w7 & low) >> 3)) +% w15 +% ((w4 <>> 17) ^ (w4 <>> 19) ^ ((w4 & low) >> 10)); w6 := (w6 & low) | (w6 << 32);
      t := b +% ((g <>> 6) ^ (g <>> 11) ^ (g <>> 25)) +% (a ^ (g & (h ^ a))) +% 0x5cb0a9dc +% w6; f +%= t; f := (f & low) | (f << 32);
      b := t +% ((c <>> 2) ^ (c <>> 13) ^ (c <>> 22)) +% ((c & d) | (e & (c | d))); b := (b & low) | (b << 32);
      w7 +%= ((w8 <>> 7) ^ (w8 <>> 18) ^ ((w8 & low) >> 3)) +% w0 +% ((w5 <>> 17) ^ (w5 <>> 19) ^ ((w5 & low) >> 10)); w7 := (w7 & low) | (w7 << 32);
      t := a +% ((f <>> 6) ^ (f <>> 11) ^ (f <>> 25)) +% (h ^ (f & (g ^ h))) +% 0x76f988da +% w7; e +%= t; e := (e & low) | (e << 32);
      a := t +% ((b <>> 2) ^ (b <>> 13) ^ (b <>> 22)) +% ((b & c) | (d & (b | c))); a := (a & low) | (a << 32);
      w8 +%= ((w9 <>> 7) ^ (w9 <>> 18) ^ ((w9 & low) >> 3)) +% w1 +% ((w6 <>> 17) ^ (w6 <>> 19) ^ ((w6 & low) >> 10)); w8 := (w8 & low) | (w8 << 32);
      t := h +% ((e <>> 6) ^ (e <>> 11) ^ (e <>> 25)) +% (g ^ (e & (f ^ g))) +% 0x983e5152 +% w8; d +%= t; d := (d & low) | (d << 32);
      h := t +% ((a <>> 2) ^ (a <>> 13) ^ (a <>> 22)) +% ((a & b) | (c & (a | b))); h := (h & low) | (h << 32);
      w9 +%= ((w10 <>> 7) ^ (w10 <>> 18) ^ ((w10 & low) >> 3)) +% w2 +% ((w7 <>> 17) ^ (w7 <>> 19) ^ ((w7 & low) >> 10)); w9 := (w9 & low) | (w9 << 32);
      t := g +% ((d <>> 6) ^ (d <>> 11) ^ (d <>> 25)) +% (f ^ (d & (e ^ f))) +% 0xa831c66d +% w9; c +%= t; c := (c & low) | (c << 32);
      g := t +% ((h <>> 2) ^ (h <>> 13) ^ (h <>> 22)) +% ((h & a) | (b & (h | a))); g := (g & low) | (g << 32);
      w10 +%= ((w11 <>> 7) ^ (w11 <>> 18) ^ ((w11 & low) >> 3)) +% w3 +% ((w8 <>> 17) ^ (w8 <>> 19) ^ ((w8 & low) >> 10)); w10 := (w10 & low) | (w10 << 32);
      t := f +% ((c <>> 6) ^ (c <>> 11) ^ (c <>> 25)) +% (e ^ (c & (d ^ e))) +% 0xb00327c8 +% w10; b +%= t; b := (b & low) | (b << 32);
      f := t +% ((g <>> 2) ^ (g <>> 13) ^ (g <>> 22)) +% ((g & h) | (a & (g | h))); f := (f & low) | (f << 32);
      w11 +%= ((w12 <>> 7) ^ (w12 <>> 18) ^ ((w12 & low) >> 3)) +% w4 +% ((w9 <>> 17) ^ (w9 <>> 19) ^ ((w9 & low) >> 10)); w11 := (w11 & low) | (w11 << 32);
      t := e +% ((b <>> 6) ^ (b <>> 11) ^ (b <>> 25)) +% (d ^ (b & (c ^ d))) +% 0xbf597fc7 +% w11; a +%= t; a := (a & low) | (a << 32);
      e := t +% ((f <>> 2) ^ (f <>> 13) ^ (f <>> 22)) +% ((f & g) | (h & (f | g))); e := (e & low) | (e << 32);
      w12 +%= ((w13 <>> 7) ^ (w13 <>> 18) ^ ((w13 & low) >> 3)) +% w5 +% ((w10 <>> 17) ^ (w10 <>> 19) ^ ((w10 & low) >> 10)); w12 := (w12 & low) | (w12 << 32);
      t := d +% ((a <>> 6) ^ (a <>> 11) ^ (a <>> 25)) +% (c ^ (a & (b ^ c))) +% 0xc6e00bf3 +% w12; h +%= t; h := (h & low) | (h << 32);
      d := t +% ((e <>> 2) ^ (e <>> 13) ^ (e <>> 22)) +% ((e & f) | (g & (e | f))); d := (d & low) | (d << 32);
      w13 +%= ((w14 <>> 7) ^ (w14 <>> 18) ^ ((w14 & low) >> 3)) +% w6 +% ((w11 <>> 17) ^ (w11 <>> 19) ^ ((w11 & low) >> 10)); w13 := (w13 & low) | (w13 << 32);
      t := c +% ((h <>> 6) ^ (h <>> 11) ^ (h <>> 25)) +% (b ^ (h & (a ^ b))) +% 0xd5a79147 +% w13; g +%= t; g := (g & low) | (g << 32);
      c := t +% ((d <>> 2) ^ (d <>> 13) ^ (d <>> 22)) +% ((d & e) | (f & (d | e))); c := (c & low) | (c << 32);
      w14 +%= ((w15 <>> 7) ^ (w15 <>> 18) ^ ((w15 & low) >> 3)) +% w7 +% ((w12 <>> 17) ^ (w12 <>> 19) ^ ((w12 & low) >> 10)); w14 := (w14 & low) | (w14 << 32);
      t := b +% ((g <>> 6) ^ (g <>> 11) ^ (g <>> 25)) +% (a ^ (g & (h ^ a))) +% 0x06ca6351 +% w14; f +%= t; f := (f & low) | (f << 32);
      b := t +% ((c <>> 2) ^ (c <>> 13) ^ (c <>> 22)) +% ((c & d) | (e & (c | d))); b := (b & low) | (b << 32);
      w15 +%= ((w0 <>> 7) ^ (w0 <>> 18) ^ ((w0 & low) >> 3)) +% w8 +% ((w13 <>> 17) ^ (w13 <>> 19) ^ ((w13 & low) >> 10)); w15 := (w15 & low) | (w15 << 32);
      t := a +% ((f <>> 6) ^ (f <>> 11) ^ (f <>> 25)) +% (h ^ (f & (g ^ h))) +% 0x14292967 +% w15; e +%= t; e := (e & low) | (e << 32);
      a := t +% ((b <>> 2) ^ (b <>> 13) ^ (b <>> 22)) +% ((b & c) | (d & (b | c))); a := (a & low) | (a << 32);
    };
    do { // rounds 32 to 47
      w0 +%= ((w1 <>> 7) ^ (w1 <>> 18) ^ ((w1 & low) >> 3)) +% w9 +% ((w14 <>> 17) ^ (w14 <>> 19) ^ ((w14 & low) >> 10)); w0 := (w0 & low) | (w0 << 32);
      t := h +% ((e <>> 6) ^ (e <>> 11) ^ (e <>> 25)) +% (g ^ (e & (f ^ g))) +% 0x27b70a85 +% w0; d +%= t; d := (d & low) | (d << 32);
      h := t +% ((a <>> 2) ^ (a <>> 13) ^ (a <>> 22)) +% ((a & b) | (c & (a | b))); h := (h & low) | (h << 32);
      w1 +%= ((w2 <>> 7) ^ (w2 <>> 18) ^ ((w2 & low) >> 3)) +% w10 +% ((w15 <>> 17) ^ (w15 <>> 19) ^ ((w15 & low) >> 10)); w1 := (w1 & low) | (w1 << 32);
      t := g +% ((d <>> 6) ^ (d <>> 11) ^ (d <>> 25)) +% (f ^ (d & (e ^ f))) +% 0x2e1b2138 +% w1; c +%= t; c := (c & low) | (c << 32);
      g := t +% ((h <>> 2) ^ (h <>> 13) ^ (h <>> 22)) +% ((h & a) | (b & (h | a))); g := (g & low) | (g << 32);
      w2 +%= ((w3 <>> 7) ^ (w3 <>> 18) ^ ((w3 & low) >> 3)) +% w11 +% ((w0 <>> 17) ^ (w0 <>> 19) ^ ((w0 & low) >> 10)); w2 := (w2 & low) | (w2 << 32);
      t := f +% ((c <>> 6) ^ (c <>> 11) ^ (c <>> 25)) +% (e ^ (c & (d ^ e))) +% 0x4d2c6dfc +% w2; b +%= t; b := (b & low) | (b << 32);
      f := t +% ((g <>> 2) ^ (g <>> 13) ^ (g <>> 22)) +% ((g & h) | (a & (g | h))); f := (f & low) | (f << 32);
      w3 +%= ((w4 <>> 7) ^ (w4 <>> 18) ^ ((w4 & low) >> 3)) +% w12 +% ((w1 <>> 17) ^ (w1 <>> 19) ^ ((w1 & low) >> 10)); w3 := (w3 & low) | (w3 << 32);
      t := e +% ((b <>> 6) ^ (b <>> 11) ^ (b <>> 25)) +% (d ^ (b & (c ^ d))) +% 0x53380d13 +% w3; a +%= t; a := (a & low) | (a << 32);
      e := t +% ((f <>> 2) ^ (f <>> 13) ^ (f <>> 22)) +% ((f & g) | (h & (f | g))); e := (e & low) | (e << 32);
      w4 +%= ((w5 <>> 7) ^ (w5 <>> 18) ^ ((w5 & low) >> 3)) +% w13 +% ((w2 <>> 17) ^ (w2 <>> 19) ^ ((w2 & low) >> 10)); w4 := (w4 & low) | (w4 << 32);
      t := d +% ((a <>> 6) ^ (a <>> 11) ^ (a <>> 25)) +% (c ^ (a & (b ^ c))) +% 0x650a7354 +% w4; h +%= t; h := (h & low) | (h << 32);
      d := t +% ((e <>> 2) ^ (e <>> 13) ^ (e <>> 22)) +% ((e & f) | (g & (e | f))); d := (d & low) | (d << 32);
      w5 +%= ((w6 <>> 7) ^ (w6 <>> 18) ^ ((w6 & low) >> 3)) +% w14 +% ((w3 <>> 17) ^ (w3 <>> 19) ^ ((w3 & low) >> 10)); w5 := (w5 & low) | (w5 << 32);
      t := c +% ((h <>> 6) ^ (h <>> 11) ^ (h <>> 25)) +% (b ^ (h & (a ^ b))) +% 0x766a0abb +% w5; g +%= t; g := (g & low) | (g << 32);
      c := t +% ((d <>> 2) ^ (d <>> 13) ^ (d <>> 22)) +% ((d & e) | (f & (d | e))); c := (c & low) | (c << 32);
      w6 +%= ((w7 <>> 7) ^ (w7 <>> 18) ^ ((w7 & low) >> 3)) +% w15 +% ((w4 <>> 17) ^ (w4 <>> 19) ^ ((w4 & low) >> 10)); w6 := (w6 & low) | (w6 << 32);
      t := b +% ((g <>> 6) ^ (g <>> 11) ^ (g <>> 25)) +% (a ^ (g & (h ^ a))) +% 0x81c2c92e +% w6; f +%= t; f := (f & low) | (f << 32);
      b := t +% ((c <>> 2) ^ (c <>> 13) ^ (c <>> 22)) +% ((c & d) | (e & (c | d))); b := (b & low) | (b << 32);
      w7 +%= ((w8 <>> 7) ^ (w8 <>> 18) ^ ((w8 & low) >> 3)) +% w0 +% ((w5 <>> 17) ^ (w5 <>> 19) ^ ((w5 & low) >> 10)); w7 := (w7 & low) | (w7 << 32);
      t := a +% ((f <>> 6) ^ (f <>> 11) ^ (f <>> 25)) +% (h ^ (f & (g ^ h))) +% 0x92722c85 +% w7; e +%= t; e := (e & low) | (e << 32);
      a := t +% ((b <>> 2) ^ (b <>> 13) ^ (b <>> 22)) +% ((b & c) | (d & (b | c))); a := (a & low) | (a << 32);
      w8 +%= ((w9 <>> 7) ^ (w9 <>> 18) ^ ((w9 & low) >> 3)) +% w1 +% ((w6 <>> 17) ^ (w6 <>> 19) ^ ((w6 & low) >> 10)); w8 := (w8 & low) | (w8 << 32);
      t := h +% ((e <>> 6) ^ (e <>> 11) ^ (e <>> 25)) +% (g ^ (e & (f ^ g))) +% 0xa2bfe8a1 +% w8; d +%= t; d := (d & low) | (d << 32);
      h := t +% ((a <>> 2) ^ (a <>> 13) ^ (a <>> 22)) +% ((a & b) | (c & (a | b))); h := (h & low) | (h << 32);
      w9 +%= ((w10 <>> 7) ^ (w10 <>> 18) ^ ((w10 & low) >> 3)) +% w2 +% ((w7 <>> 17) ^ (w7 <>> 19) ^ ((w7 & low) >> 10)); w9 := (w9 & low) | (w9 << 32);
      t := g +% ((d <>> 6) ^ (d <>> 11) ^ (d <>> 25)) +% (f ^ (d & (e ^ f))) +% 0xa81a664b +% w9; c +%= t; c := (c & low) | (c << 32);
      g := t +% ((h <>> 2) ^ (h <>> 13) ^ (h <>> 22)) +% ((h & a) | (b & (h | a))); g := (g & low) | (g << 32);
      w10 +%= ((w11 <>> 7) ^ (w11 <>> 18) ^ ((w11 & low) >> 3)) +% w3 +% ((w8 <>> 17) ^ (w8 <>> 19) ^ ((w8 & low) >> 10)); w10 := (w10 & low) | (w10 << 32);
      t := f +% ((c <>> 6) ^ (c <>> 11) ^ (c <>> 25)) +% (e ^ (c & (d ^ e))) +% 0xc24b8b70 +% w10; b +%= t; b := (b & low) | (b << 32);
      f := t +% ((g <>> 2) ^ (g <>> 13) ^ (g <>> 22)) +% ((g & h) | (a & (g | h))); f := (f & low) | (f << 32);
      w11 +%= ((w12 <>> 7) ^ (w12 <>> 18) ^ ((w12 & low) >> 3)) +% w4 +% ((w9 <>> 17) ^ (w9 <>> 19) ^ ((w9 & low) >> 10)); w11 := (w11 & low) | (w11 << 32);
      t := e +% ((b <>> 6) ^ (b <>> 11) ^ (b <>> 25)) +% (d ^ (b & (c ^ d))) +% 0xc76c51a3 +% w11; a +%= t; a := (a & low) | (a << 32);
      e := t +% ((f <>> 2) ^ (f <>> 13) ^ (f <>> 22)) +% ((f & g) | (h & (f | g))); e := (e & low) | (e << 32);
      w12 +%= ((w13 <>> 7) ^ (w13 <>> 18) ^ ((w13 & low) >> 3)) +% w5 +% ((w10 <>> 17) ^ (w10 <>> 19) ^ ((w10 & low) >> 10)); w12 := (w12 & low) | (w12 << 32);
      t := d +% ((a <>> 6) ^ (a <>> 11) ^ (a <>> 25)) +% (c ^ (a & (b ^ c))) +% 0xd192e819 +% w12; h +%= t; h := (h & low) | (h << 32);
      d := t +% ((e <>> 2) ^ (e <>> 13) ^ (e <>> 22)) +% ((e & f) | (g & (e | f))); d := (d & low) | (d << 32);
      w13 +%= ((w14 <>> 7) ^ (w14 <>> 18) ^ ((w14 & low) >> 3)) +% w6 +% ((w11 <>> 17) ^ (w11 <>> 19) ^ ((w11 & low) >> 10)); w13 := (w13 & low) | (w13 << 32);
      t := c +% ((h <>> 6) ^ (h <>> 11) ^ (h <>> 25)) +% (b ^ (h & (a ^ b))) +% 0xd6990624 +% w13; g +%= t; g := (g & low) | (g << 32);
      c := t +% ((d <>> 2) ^ (d <>> 13) ^ (d <>> 22)) +% ((d & e) | (f & (d | e))); c := (c & low) | (c << 32);
      w14 +%= ((w15 <>> 7) ^ (w15 <>> 18) ^ ((w15 & low) >> 3)) +% w7 +% ((w12 <>> 17) ^ (w12 <>> 19) ^ ((w12 & low) >> 10)); w14 := (w14 & low) | (w14 << 32);
      t := b +% ((g <>> 6) ^ (g <>> 11) ^ (g <>> 25)) +% (a ^ (g & (h ^ a))) +% 0xf40e3585 +% w14; f +%= t; f := (f & low) | (f << 32);
      b := t +% ((c <>> 2) ^ (c <>> 13) ^ (c <>> 22)) +% ((c & d) | (e & (c | d))); b := (b & low) | (b << 32);
      w15 +%= ((w0 <>> 7) ^ (w0 <>> 18) ^ ((w0 & low) >> 3)) +% w8 +% ((w13 <>> 17) ^ (w13 <>> 19) ^ ((w13 & low) >> 10)); w15 := (w15 & low) | (w15 << 32);
      t := a +% ((f <>> 6) ^ (f <>> 11) ^ (f <>> 25)) +% (h ^ (f & (g ^ h))) +% 0x106aa070 +% w15; e +%= t; e := (e & low) | (e << 32);
      a := t +% ((b <>> 2) ^ (b <>> 13) ^ (b <>> 22)) +% ((b & c) | (d & (b | c))); a := (a & low) | (a << 32);
    };
    do { // rounds 48 to 63
      w0 +%= ((w1 <>> 7) ^ (w1 <>> 18) ^ ((w1 & low) >> 3)) +% w9 +% ((w14 <>> 17) ^ (w14 <>> 19) ^ ((w14 & low) >> 10)); w0 := (w0 & low) | (w0 << 32);
      t := h +% ((e <>> 6) ^ (e <>> 11) ^ (e <>> 25)) +% (g ^ (e & (f ^ g))) +% 0x19a4c116 +% w0; d +%= t; d := (d & low) | (d << 32);
      h := t +% ((a <>> 2) ^ (a <>> 13) ^ (a <>> 22)) +% ((a & b) | (c & (a | b))); h := (h & low) | (h << 32);
      w1 +%= ((w2 <>> 7) ^ (w2 <>> 18) ^ ((w2 & low) >> 3)) +% w10 +% ((w15 <>> 17) ^ (w15 <>> 19) ^ ((w15 & low) >> 10)); w1 := (w1 & low) | (w1 << 32);
      t := g +% ((d <>> 6) ^ (d <>> 11) ^ (d <>> 25)) +% (f ^ (d & (e ^ f))) +% 0x1e376c08 +% w1; c +%= t; c := (c & low) | (c << 32);
      g := t +% ((h <>> 2) ^ (h <>> 13) ^ (h <>> 22)) +% ((h & a) | (b & (h | a))); g := (g & low) | (g << 32);
      w2 +%= ((w3 <>> 7) ^ (w3 <>> 18) ^ ((w3 & low) >> 3)) +% w11 +% ((w0 <>> 17) ^ (w0 <>> 19) ^ ((w0 & low) >> 10)); w2 := (w2 & low) | (w2 << 32);
      t := f +% ((c <>> 6) ^ (c <>> 11) ^ (c <>> 25)) +% (e ^ (c & (d ^ e))) +% 0x2748774c +% w2; b +%= t; b := (b & low) | (b << 32);
      f := t +% ((g <>> 2) ^ (g <>> 13) ^ (g <>> 22)) +% ((g & h) | (a & (g | h))); f := (f & low) | (f << 32);
      w3 +%= ((w4 <>> 7) ^ (w4 <>> 18) ^ ((w4 & low) >> 3)) +% w12 +% ((w1 <>> 17) ^ (w1 <>> 19) ^ ((w1 & low) >> 10)); w3 := (w3 & low) | (w3 << 32);
      t := e +% ((b <>> 6) ^ (b <>> 11) ^ (b <>> 25)) +% (d ^ (b & (c ^ d))) +% 0x34b0bcb5 +% w3; a +%= t; a := (a & low) | (a << 32);
      e := t +% ((f <>> 2) ^ (f <>> 13) ^ (f <>> 22)) +% ((f & g) | (h & (f | g))); e := (e & low) | (e << 32);
      w4 +%= ((w5 <>> 7) ^ (w5 <>> 18) ^ ((w5 & low) >> 3)) +% w13 +% ((w2 <>> 17) ^ (w2 <>> 19) ^ ((w2 & low) >> 10)); w4 := (w4 & low) | (w4 << 32);
      t := d +% ((a <>> 6) ^ (a <>> 11) ^ (a <>> 25)) +% (c ^ (a & (b ^ c))) +% 0x391c0cb3 +% w4; h +%= t; h := (h & low) | (h << 32);
      d := t +% ((e <>> 2) ^ (e <>> 13) ^ (e <>> 22)) +% ((e & f) | (g & (e | f))); d := (d & low) | (d << 32);
      w5 +%= ((w6 <>> 7) ^ (w6 <>> 18) ^ ((w6 & low) >> 3)) +% w14 +% ((w3 <>> 17) ^ (w3 <>> 19) ^ ((w3 & low) >> 10)); w5 := (w5 & low) | (w5 << 32);
      t := c +% ((h <>> 6) ^ (h <>> 11) ^ (h <>> 25)) +% (b ^ (h & (a ^ b))) +% 0x4ed8aa4a +% w5; g +%= t; g := (g & low) | (g << 32);
      c := t +% ((d <>> 2) ^ (d <>> 13) ^ (d <>> 22)) +% ((d & e) | (f & (d | e))); c := (c & low) | (c << 32);
      w6 +%= ((w7 <>> 7) ^ (w7 <>> 18) ^ ((w7 & low) >> 3)) +% w15 +% ((w4 <>> 17) ^ (w4 <>> 19) ^ ((w4 & low) >> 10)); w6 := (w6 & low) | (w6 << 32);
      t := b +% ((g <>> 6) ^ (g <>> 11) ^ (g <>> 25)) +% (a ^ (g & (h ^ a))) +% 0x5b9cca4f +% w6; f +%= t; f := (f & low) | (f << 32);
      b := t +% ((c <>> 2) ^ (c <>> 13) ^ (c <>> 22)) +% ((c & d) | (e & (c | d))); b := (b & low) | (b << 32);
      w7 +%= ((w8 <>> 7) ^ (w8 <>> 18) ^ ((w8 & low) >> 3)) +% w0 +% ((w5 <>> 17) ^ (w5 <>> 19) ^ ((w5 & low) >> 10)); w7 := (w7 & low) | (w7 << 32);
      t := a +% ((f <>> 6) ^ (f <>> 11) ^ (f <>> 25)) +% (h ^ (f & (g ^ h))) +% 0x682e6ff3 +% w7; e +%= t; e := (e & low) | (e << 32);
      a := t +% ((b <>> 2) ^ (b <>> 13) ^ (b <>> 22)) +% ((b & c) | (d & (b | c))); a := (a & low) | (a << 32);
      w8 +%= ((w9 <>> 7) ^ (w9 <>> 18) ^ ((w9 & low) >> 3)) +% w1 +% ((w6 <>> 17) ^ (w6 <>> 19) ^ ((w6 & low) >> 10)); w8 := (w8 & low) | (w8 << 32);
      t := h +% ((e <>> 6) ^ (e <>> 11) ^ (e <>> 25)) +% (g ^ (e & (f ^ g))) +% 0x748f82ee +% w8; d +%= t; d := (d & low) | (d << 32);
      h := t +% ((a <>> 2) ^ (a <>> 13) ^ (a <>> 22)) +% ((a & b) | (c & (a | b))); h := (h & low) | (h << 32);
      w9 +%= ((w10 <>> 7) ^ (w10 <>> 18) ^ ((w10 & low) >> 3)) +% w2 +% ((w7 <>> 17) ^ (w7 <>> 19) ^ ((w7 & low) >> 10)); w9 := (w9 & low) | (w9 << 32);
      t := g +% ((d <>> 6) ^ (d <>> 11) ^ (d <>> 25)) +% (f ^ (d & (e ^ f))) +% 0x78a5636f +% w9; c +%= t; c := (c & low) | (c << 32);
      g := t +% ((h <>> 2) ^ (h <>> 13) ^ (h <>> 22)) +% ((h & a) | (b & (h | a))); g := (g & low) | (g << 32);
      w10 +%= ((w11 <>> 7) ^ (w11 <>> 18) ^ ((w11 & low) >> 3)) +% w3 +% ((w8 <>> 17) ^ (w8 <>> 19) ^ ((w8 & low) >> 10)); w10 := (w10 & low) | (w10 << 32);
      t := f +% ((c <>> 6) ^ (c <>> 11) ^ (c <>> 25)) +% (e ^ (c & (d ^ e))) +% 0x84c87814 +% w10; b +%= t; b := (b & low) | (b << 32);
      f := t +% ((g <>> 2) ^ (g <>> 13) ^ (g <>> 22)) +% ((g & h) | (a & (g | h))); f := (f & low) | (f << 32);
      w11 +%= ((w12 <>> 7) ^ (w12 <>> 18) ^ ((w12 & low) >> 3)) +% w4 +% ((w9 <>> 17) ^ (w9 <>> 19) ^ ((w9 & low) >> 10)); w11 := (w11 & low) | (w11 << 32);
      t := e +% ((b <>> 6) ^ (b <>> 11) ^ (b <>> 25)) +% (d ^ (b & (c ^ d))) +% 0x8cc70208 +% w11; a +%= t; a := (a & low) | (a << 32);
      e := t +% ((f <>> 2) ^ (f <>> 13) ^ (f <>> 22)) +% ((f & g) | (h & (f | g))); e := (e & low) | (e << 32);
      w12 +%= ((w13 <>> 7) ^ (w13 <>> 18) ^ ((w13 & low) >> 3)) +% w5 +% ((w10 <>> 17) ^ (w10 <>> 19) ^ ((w10 & low) >> 10)); w12 := (w12 & low) | (w12 << 32);
      t := d +% ((a <>> 6) ^ (a <>> 11) ^ (a <>> 25)) +% (c ^ (a & (b ^ c))) +% 0x90befffa +% w12; h +%= t; h := (h & low) | (h << 32);
      d := t +% ((e <>> 2) ^ (e <>> 13) ^ (e <>> 22)) +% ((e & f) | (g & (e | f))); d := (d & low) | (d << 32);
      w13 +%= ((w14 <>> 7) ^ (w14 <>> 18) ^ ((w14 & low) >> 3)) +% w6 +% ((w11 <>> 17) ^ (w11 <>> 19) ^ ((w11 & low) >> 10)); w13 := (w13 & low) | (w13 << 32);
      t := c +% ((h <>> 6) ^ (h <>> 11) ^ (h <>> 25)) +% (b ^ (h & (a ^ b))) +% 0xa4506ceb +% w13; g +%= t; g := (g & low) | (g << 32);
      c := t +% ((d <>> 2) ^ (d <>> 13) ^ (d <>> 22)) +% ((d & e) | (f & (d | e))); c := (c & low) | (c << 32);
      w14 +%= ((w15 <>> 7) ^ (w15 <>> 18) ^ ((w15 & low) >> 3)) +% w7 +% ((w12 <>> 17) ^ (w12 <>> 19) ^ ((w12 & low) >> 10)); w14 := (w14 & low) | (w14 << 32);
      t := b +% ((g <>> 6) ^ (g <>> 11) ^ (g <>> 25)) +% (a ^ (g & (h ^ a))) +% 0xbef9a3f7 +% w14; f +%= t; f := (f & low) | (f << 32);
      b := t +% ((c <>> 2) ^ (c <>> 13) ^ (c <>> 22)) +% ((c & d) | (e & (c | d))); b := (b & low) | (b << 32);
      w15 +%= ((w0 <>> 7) ^ (w0 <>> 18) ^ ((w0 & low) >> 3)) +% w8 +% ((w13 <>> 17) ^ (w13 <>> 19) ^ ((w13 & low) >> 10)); w15 := (w15 & low) | (w15 << 32);
      t := a +% ((f <>> 6) ^ (f <>> 11) ^ (f <>> 25)) +% (h ^ (f & (g ^ h))) +% 0xc67178f2 +% w15; e +%= t; e := (e & low) | (e << 32);
      a := t +% ((b <>> 2) ^ (b <>> 13) ^ (b <>> 22)) +% ((b & c) | (d & (b | c))); a := (a & low) | (a << 32);
    };
    state[0] := (state[0] +% a) & low;
    state[1] := (state[1] +% b) & low;
    state[2] := (state[2] +% c) & low;
    state[3] := (state[3] +% d) & low;
    state[4] := (state[4] +% e) & low;
    state[5] := (state[5] +% f) & low;
    state[6] := (state[6] +% g) & low;
    state[7] := (state[7] +% h) & low;
  };
};
