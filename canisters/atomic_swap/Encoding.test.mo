/// Against the examples of the specifications, and Python.
import Blob "mo:core/Blob";
import List "mo:core/List";
import Nat8 "mo:core/Nat8";
import Encoding "Encoding";

assert Encoding.leb128(0) == ("\00" : Blob);
assert Encoding.leb128(1) == ("\01" : Blob);
assert Encoding.leb128(127) == ("\7F" : Blob);
assert Encoding.leb128(128) == ("\80\01" : Blob);
assert Encoding.leb128(255) == ("\FF\01" : Blob);
assert Encoding.leb128(16383) == ("\FF\7F" : Blob);
assert Encoding.leb128(16384) == ("\80\80\01" : Blob);
assert Encoding.leb128(624485) == ("\E5\8E\26" : Blob);
assert Encoding.leb128(4294967296) == ("\80\80\80\80\10" : Blob);
assert Encoding.leb128(18446744073709551616) == ("\80\80\80\80\80\80\80\80\80\02" : Blob);
assert Encoding.leb128(1000000000000000000000000000000) == ("\80\80\80\80\A4\BD\BB\BA\C6\A0\F3\E4\F2\93\03" : Blob);
assert Encoding.sleb128(0) == ("\00" : Blob);
assert Encoding.sleb128(1) == ("\01" : Blob);
assert Encoding.sleb128(-1) == ("\7F" : Blob);
assert Encoding.sleb128(63) == ("\3F" : Blob);
assert Encoding.sleb128(64) == ("\C0\00" : Blob);
assert Encoding.sleb128(-64) == ("\40" : Blob);
assert Encoding.sleb128(-65) == ("\BF\7F" : Blob);
assert Encoding.sleb128(127) == ("\FF\00" : Blob);
assert Encoding.sleb128(128) == ("\80\01" : Blob);
assert Encoding.sleb128(-127) == ("\81\7F" : Blob);
assert Encoding.sleb128(-128) == ("\80\7F" : Blob);
assert Encoding.sleb128(-123456) == ("\C0\BB\78" : Blob);
assert Encoding.sleb128(9223372036854775808) == ("\80\80\80\80\80\80\80\80\80\01" : Blob);
assert Encoding.sleb128(-9223372036854775808) == ("\80\80\80\80\80\80\80\80\80\7F" : Blob);
assert Encoding.sleb128(1000000000000000000000000000000) == ("\80\80\80\80\A4\BD\BB\BA\C6\A0\F3\E4\F2\93\03" : Blob);
assert Encoding.sleb128(-1000000000000000000000000000000) == ("\80\80\80\80\DC\C2\C4\C5\B9\DF\8C\9B\8D\EC\7C" : Blob);

assert Encoding.bigEndian(0x0102030405060708) == ("\01\02\03\04\05\06\07\08" : Blob);
assert Encoding.sized("abc") == ("\03abc" : Blob);
assert Encoding.concat([]) == ("" : Blob);
assert Encoding.concat(["a", "", "bc", "d"]) == ("abcd" : Blob);

func head(major : Nat8, length : Nat) : Blob {
  let bytes = List.empty<Nat8>();
  Encoding.cborHead(bytes, major, length);
  Blob.fromArray(List.toArray(bytes));
};
assert head(0, 0) == ("\00" : Blob);
assert head(0, 23) == ("\17" : Blob);
assert head(0, 24) == ("\18\18" : Blob);
assert head(0, 255) == ("\18\FF" : Blob);
assert head(0, 256) == ("\19\01\00" : Blob);
assert head(0, 65535) == ("\19\FF\FF" : Blob);
assert head(0, 65536) == ("\1A\00\01\00\00" : Blob);
assert head(0, 4294967295) == ("\1A\FF\FF\FF\FF" : Blob);
assert head(2, 300) == ("\59\01\2C" : Blob);
