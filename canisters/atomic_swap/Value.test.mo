/// Against the examples of ICRC-3, and the same hash in Python.
import Value "Value";

assert Value.hash(#Nat 42) == ("\68\48\88\C0\EB\B1\7F\37\42\98\B6\5E\E2\80\75\26\C0\66\09\4C\70\1B\CC\7E\BB\E1\C1\09\5F\49\4F\C1" : Blob);
assert Value.hash(#Int(-42)) == ("\DE\5A\6F\78\11\6E\CA\62\D7\FC\5C\E1\59\D2\3A\E6\B8\89\B3\65\A1\73\9A\D2\CF\36\F9\25\A1\40\D0\CC" : Blob);
assert Value.hash(#Text "Hello, World!") == ("\DF\FD\60\21\BB\2B\D5\B0\AF\67\62\90\80\9E\C3\A5\31\91\DD\81\C7\F7\0A\4B\28\68\8A\36\21\82\98\6F" : Blob);
assert Value.hash(#Blob "\01\02\03\04") == ("\9F\64\A7\47\E1\B9\7F\13\1F\AB\B6\B4\47\29\6C\9B\6F\02\01\E7\9F\B3\C5\35\6E\6C\77\E8\9B\6A\80\6A" : Blob);
assert Value.hash(#Array([#Nat 3, #Text "foo", #Blob "\05\06"])) == ("\51\4A\04\01\1C\AA\50\39\90\D4\46\B7\DE\C5\D7\9E\19\C2\21\AE\60\7F\B0\8B\28\48\C6\77\34\D4\68\D6" : Blob);
assert Value.hash(#Map([("from", #Blob "\00\AB\CD\EF\00\12\34\00\56\78\9A\00\BC\DE\F0\00\01\23\45\67\89\00\AB\CD\EF\01"), ("to", #Blob "\00\AB\0D\EF\00\12\34\00\56\78\9A\00\BC\DE\F0\00\01\23\45\67\89\00\AB\CD\EF\01"), ("amount", #Nat 42), ("created_at", #Nat 1699218263), ("memo", #Nat 0)])) == ("\C5\6E\CE\65\0E\1D\E4\26\9C\5B\DE\FF\78\75\94\9E\3E\20\33\F8\5B\2D\19\3C\2F\F4\F7\F7\8B\DC\FC\75" : Blob);
assert Value.hash(#Map([])) == ("\E3\B0\C4\42\98\FC\1C\14\9A\FB\F4\C8\99\6F\B9\24\27\AE\41\E4\64\9B\93\4C\A4\95\99\1B\78\52\B8\55" : Blob);
assert Value.hash(#Array([])) == ("\E3\B0\C4\42\98\FC\1C\14\9A\FB\F4\C8\99\6F\B9\24\27\AE\41\E4\64\9B\93\4C\A4\95\99\1B\78\52\B8\55" : Blob);
assert Value.hash(#Array([#Array([#Nat 1, #Nat 1, #Nat 1, #Nat 1, #Nat 1])])) == ("\F2\CB\79\7A\A3\91\4A\FA\0F\1E\E3\D5\75\77\2C\A0\DA\4E\EF\88\B7\84\D8\C4\57\5E\AD\55\FC\0F\81\13" : Blob);
assert Value.hash(#Map([("a", #Map([("b", #Int(0))]))])) == ("\20\2E\7F\16\18\27\87\73\25\E7\81\CE\E6\A8\7D\A2\22\7D\A3\9E\FB\8E\DB\C5\90\EC\16\BB\38\42\85\53" : Blob);

// The order of the entries is nothing.
assert Value.hash(#Map([("a", #Nat 1), ("b", #Nat 2), ("c", #Nat 3)])) == Value.hash(#Map([("c", #Nat 3), ("a", #Nat 1), ("b", #Nat 2)]));
assert Value.hash(#Map([("a", #Nat 1)])) != Value.hash(#Map([("a", #Nat 2)]));

assert Value.present([("a", ?#Nat 1), ("b", null), ("c", ?#Text "x")]) == [("a", #Nat 1), ("c", #Text "x")];
assert Value.flag(true) == #Nat 1 and Value.flag(false) == #Nat 0;
