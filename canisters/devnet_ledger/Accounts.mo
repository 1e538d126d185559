/// Accounts as keys: ICRC-1's default subaccount has two spellings, null and 32 zero bytes.
import Blob "mo:core/Blob";
import Order "mo:core/Order";
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";
import Types "Types";

module {
  type Account = Types.Account;

  /// The one spelling that is stored and compared. Traps if the subaccount is not 32 bytes.
  public func account(owner : Principal, subaccount : ?Blob) : Account {
    let ?bytes = subaccount else return { owner; subaccount = null };
    if (bytes.size() != 32) Runtime.trap("a subaccount has 32 bytes");
    { owner; subaccount = if (isZero(bytes)) null else subaccount };
  };

  func isZero(bytes : Blob) : Bool {
    for (byte in bytes.values()) if (byte != 0) return false;
    true;
  };

  /// `account` of an account from outside.
  public func canonical(given : Account) : Account = account(given.owner, given.subaccount);

  /// Order of canonical accounts.
  public func compare(a : Account, b : Account) : Order.Order {
    switch (Principal.compare(a.owner, b.owner), a.subaccount, b.subaccount) {
      case (#equal, null, null) #equal;
      case (#equal, null, ?_) #less;
      case (#equal, ?_, null) #greater;
      case (#equal, ?x, ?y) Blob.compare(x, y);
      case (order, _, _) order;
    };
  };

  /// Order of pairs of canonical accounts: an owner and a spender.
  public func comparePairs(a : (Account, Account), b : (Account, Account)) : Order.Order {
    switch (compare(a.0, b.0)) {
      case (#equal) compare(a.1, b.1);
      case (order) order;
    };
  };
};
