/// Against the vectors of FIPS 180-4 and Python's hashlib: each length around the edges of words and blocks.
import Array "mo:core/Array";
import Blob "mo:core/Blob";
import Nat8 "mo:core/Nat8";
import Sha256 "Sha256";

/// 0, 1, 2 ... as long as wanted.
func counting(size : Nat) : Blob = Blob.fromArray(Array.tabulate<Nat8>(size, func i = Nat8.fromNat(i % 256)));

assert Sha256.hash("abc") == ("\BA\78\16\BF\8F\01\CF\EA\41\41\40\DE\5D\AE\22\23\B0\03\61\A3\96\17\7A\9C\B4\10\FF\61\F2\00\15\AD" : Blob);
assert Sha256.hash(counting(0)) == ("\E3\B0\C4\42\98\FC\1C\14\9A\FB\F4\C8\99\6F\B9\24\27\AE\41\E4\64\9B\93\4C\A4\95\99\1B\78\52\B8\55" : Blob);
assert Sha256.hash(counting(1)) == ("\6E\34\0B\9C\FF\B3\7A\98\9C\A5\44\E6\BB\78\0A\2C\78\90\1D\3F\B3\37\38\76\85\11\A3\06\17\AF\A0\1D" : Blob);
assert Sha256.hash(counting(3)) == ("\AE\4B\32\80\E5\6E\2F\AF\83\F4\14\A6\E3\DA\BE\9D\5F\BE\18\97\65\44\C0\5F\ED\12\1A\CC\B8\5B\53\FC" : Blob);
assert Sha256.hash(counting(4)) == ("\05\4E\DE\C1\D0\21\1F\62\4F\ED\0C\BC\A9\D4\F9\40\0B\0E\49\1C\43\74\2A\F2\C5\B0\AB\EB\F0\C9\90\D8" : Blob);
assert Sha256.hash(counting(5)) == ("\08\BB\5E\5D\6E\AA\C1\04\9E\DE\08\93\D3\0E\D0\22\B1\A4\D9\B5\B4\8D\B4\14\87\1F\51\C9\CB\35\28\3D" : Blob);
assert Sha256.hash(counting(31)) == ("\4F\23\C2\CA\8C\5C\96\2E\50\CD\31\E2\21\BF\B6\D0\AD\CA\19\11\1D\CA\8E\0C\62\59\8F\F1\46\DD\19\C4" : Blob);
assert Sha256.hash(counting(32)) == ("\63\0D\CD\29\66\C4\33\66\91\12\54\48\BB\B2\5B\4F\F4\12\A4\9C\73\2D\B2\C8\AB\C1\B8\58\1B\D7\10\DD" : Blob);
assert Sha256.hash(counting(33)) == ("\5D\8F\CF\EF\A9\AE\EB\71\1F\B8\ED\1E\4B\7D\5C\8A\9B\AF\A4\6E\8E\76\E6\8A\A1\8A\DC\E5\A1\0D\F6\AB" : Blob);
assert Sha256.hash(counting(54)) == ("\67\5F\28\AC\C0\B9\0A\72\D1\C3\A5\70\FE\83\AC\56\55\55\DB\35\8C\F0\18\26\DC\8E\EF\B2\BF\7C\A0\F3" : Blob);
assert Sha256.hash(counting(55)) == ("\46\3E\B2\8E\72\F8\2E\0A\96\C0\A4\CC\53\69\0C\57\12\81\13\1F\67\2A\A2\29\E0\D4\5A\E5\9B\59\8B\59" : Blob);
assert Sha256.hash(counting(56)) == ("\DA\2A\E4\D6\B3\67\48\F2\A3\18\F2\3E\7A\B1\DF\DF\45\AC\DC\9D\04\9B\D8\0E\59\DE\82\A6\08\95\F5\62" : Blob);
assert Sha256.hash(counting(57)) == ("\2F\E7\41\AF\80\1C\C2\38\60\2A\C0\EC\6A\7B\0C\3A\8A\87\C7\FC\7D\7F\02\A3\FE\03\D1\C1\2E\AC\4D\8F" : Blob);
assert Sha256.hash(counting(63)) == ("\29\AF\26\86\FD\53\37\4A\36\B0\84\66\94\CC\34\21\77\E4\28\D1\64\75\15\F0\78\78\4D\69\CD\B9\E4\88" : Blob);
assert Sha256.hash(counting(64)) == ("\FD\EA\B9\AC\F3\71\03\62\BD\26\58\CD\C9\A2\9E\8F\9C\75\7F\CF\98\11\60\3A\8C\44\7C\D1\D9\15\11\08" : Blob);
assert Sha256.hash(counting(65)) == ("\4B\FD\2C\8B\6F\1E\EC\7A\2A\FE\B4\8B\93\4E\E4\B2\69\41\82\02\7E\6D\0F\C0\75\07\4F\2F\AB\B3\17\81" : Blob);
assert Sha256.hash(counting(81)) == ("\C2\22\62\85\D0\8A\24\5A\17\05\8E\D2\D2\4A\D0\95\B7\14\F6\08\AE\36\4F\DD\F1\19\E0\A7\DF\89\05\40" : Blob);
assert Sha256.hash(counting(84)) == ("\4E\30\33\56\2A\D7\4A\7D\43\EB\5F\F5\FC\23\82\62\2C\63\07\CB\10\E2\45\AD\62\DA\77\C4\C6\3C\B1\78" : Blob);
assert Sha256.hash(counting(119)) == ("\DA\18\79\7E\D7\C3\A7\77\F0\84\7F\42\97\24\A2\D8\CD\51\38\E6\ED\28\95\C3\FA\1A\6D\39\D1\8F\7E\C6" : Blob);
assert Sha256.hash(counting(120)) == ("\F5\2B\23\DB\1F\BB\6D\ED\89\EF\42\A2\3C\E0\C8\92\2C\45\F2\5C\50\B5\68\A9\3B\F1\C0\75\42\0B\BB\7C" : Blob);
assert Sha256.hash(counting(127)) == ("\92\CA\0F\A6\65\1E\E2\F9\7B\88\4B\72\46\A5\62\FA\71\25\0F\ED\EF\E5\EB\F2\70\D3\1C\54\6B\FE\A9\76" : Blob);
assert Sha256.hash(counting(128)) == ("\47\1F\B9\43\AA\23\C5\11\F6\F7\2F\8D\16\52\D9\C8\80\CF\A3\92\AD\80\50\31\20\54\77\03\E5\6A\2B\E5" : Blob);
assert Sha256.hash(counting(129)) == ("\50\99\C6\A5\62\03\F9\68\7F\7D\33\F4\BF\DF\57\6D\31\DC\91\F6\B6\95\EC\EA\38\B2\77\0C\87\63\11\35" : Blob);
assert Sha256.hash(counting(449)) == ("\BD\40\73\0F\F2\91\FB\5A\7A\85\F1\22\03\0F\C2\04\5A\F9\D0\BC\1A\B3\95\69\8D\2C\65\A2\6D\6D\95\18" : Blob);
assert Sha256.hash(counting(1000)) == ("\A8\AF\09\9B\F2\E8\78\60\95\58\DB\F6\9D\8F\88\F4\A3\10\40\A8\CF\84\B5\49\A0\CF\A9\12\F1\2F\FC\3F" : Blob);

// In two parts, of any lengths.
for (cut in [0, 1, 2, 3, 4, 5, 17, 55, 56, 63, 64, 65, 100].vals()) {
  for (rest in [0, 1, 3, 4, 9, 46, 47, 48, 64, 130].vals()) {
    let whole = counting(cut + rest);
    let bytes = whole.toArray();
    let (first, second) = (Blob.fromArray(bytes.sliceToArray(0, cut)), Blob.fromArray(bytes.sliceToArray(cut, cut + rest)));
    assert Sha256.toBlob(Sha256.digestAfter(first, second)) == Sha256.hash(whole);
  };
};

// Of hashes, and there and back.
let abc = Sha256.digest("abc");
assert Sha256.toBlob(Sha256.fromBlob(Sha256.toBlob(abc))) == Sha256.hash("abc");
assert Sha256.toBlob(Sha256.digestOf([])) == ("\E3\B0\C4\42\98\FC\1C\14\9A\FB\F4\C8\99\6F\B9\24\27\AE\41\E4\64\9B\93\4C\A4\95\99\1B\78\52\B8\55" : Blob);
assert Sha256.toBlob(Sha256.digestOf([abc])) == ("\4F\8B\42\C2\2D\D3\72\9B\51\9B\A6\F6\8D\2D\A7\CC\5B\2D\60\6D\05\DA\ED\5A\D5\12\8C\C0\3E\6C\63\58" : Blob);
assert Sha256.toBlob(Sha256.digestOf([abc, abc])) == ("\3B\77\1C\A9\7E\3C\17\69\8A\FF\21\22\7F\A0\46\B5\62\2A\30\D8\EE\5D\2D\E4\EE\11\11\A1\CD\F2\58\EE" : Blob);
assert Sha256.toBlob(Sha256.digestOf([abc, abc, abc])) == ("\83\2E\3F\D3\CA\9F\C0\EE\00\B1\45\15\85\1D\B2\2A\40\13\B2\51\90\02\0C\68\CD\D8\52\67\E0\BB\01\B7" : Blob);
assert Sha256.toBlob(Sha256.digestOf([abc, abc, abc, abc])) == ("\D4\6A\4B\D2\14\0B\1E\8E\7F\62\8B\B8\DD\DE\EC\26\A8\E9\4E\27\D5\99\DD\5B\C7\BF\8E\F3\AE\1E\14\93" : Blob);
assert Sha256.toBlob(Sha256.digestOf([abc, abc, abc, abc, abc])) == ("\CB\68\A0\62\2B\5C\84\9F\EE\34\D9\FE\6E\F4\46\B7\E2\FE\0B\13\42\96\FC\A9\65\AB\59\FE\1A\EB\EF\29" : Blob);
assert Sha256.compare(abc, abc) == #equal;
assert Sha256.compare(abc, Sha256.digest("")) == #less;
assert Sha256.compare(Sha256.digest(""), abc) == #greater;
