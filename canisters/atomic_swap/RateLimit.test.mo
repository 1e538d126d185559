/// So many a minute for each caller, and a full measure again in the next.
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import RateLimit "RateLimit";

let minute : Nat64 = 60_000_000_000;
let (alice, bob) = (Principal.fromText("aaaaa-aa"), Principal.fromText("2vxsx-fae"));
let limit = RateLimit.new();

assert RateLimit.take(limit, alice, 2, 10 * minute + 1) == null;
assert RateLimit.take(limit, alice, 2, 10 * minute + 2) == null;
assert RateLimit.take(limit, alice, 2, 10 * minute + 5) == ?(minute - 5);
assert RateLimit.take(limit, bob, 2, 10 * minute + 5) == null;
assert RateLimit.take(limit, alice, 2, 11 * minute - 1) == ?1;
assert RateLimit.take(limit, alice, 2, 11 * minute) == null;
assert RateLimit.take(limit, bob, 0, 11 * minute) == ?minute;
