/// What is asked of arguments before anything happens with them. Null: nothing is wrong; else what is, for people.
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Encoding "Encoding";
import Sha256 "Sha256";
import Types "Types";

module {
  /// Amounts and fees are below this: no ledger has more, and a record keeps its size.
  let tooMuch = 0x100000000000000000000000000000000;

  /// The id of the swap that `initiator` begins with `nonce`, in `canister`.
  public func swapId(canister : Principal, initiator : Principal, nonce : Blob) : Types.SwapId {
    Sha256.hash(Encoding.concat(["atomic-swap/1", Encoding.sized(canister.toBlob()), Encoding.sized(initiator.toBlob()), nonce]));
  };

  /// The terms of a swap, as far as they do not depend on the time.
  public func terms(args : Types.InitiateArgs, self : Principal) : ?Text {
    if (args.nonce.size() != 32) return ?"nonce: 32 bytes";
    if (args.hashlock.size() != 32) return ?"hashlock: 32 bytes";
    if (args.amount == 0 or args.amount >= tooMuch) return ?"amount: more than 0, less than 2^128";
    if (args.fee >= tooMuch) return ?"fee: less than 2^128";
    if (not isSubaccount(args.from_subaccount)) return ?"from_subaccount: 32 bytes or null";
    if (not isPayee(args.recipient, args.ledger, self)) return ?"recipient: somebody's account, not this canister's or the ledger's";
    if (not isPayee(args.refund_to, args.ledger, self)) return ?"refund_to: somebody's account, not this canister's or the ledger's";
    null;
  };

  /// The times of a swap that begins now.
  public func times(args : Types.InitiateArgs, config : Types.Config, now : Nat64) : ?Text {
    if (args.fund_by <= now) return ?"fund_by: in the future";
    if (args.deadline <= args.fund_by) return ?"deadline: after fund_by";
    if (args.deadline < now + config.min_timelock) return ?("deadline: at least " # config.min_timelock.toText() # " ns from now");
    if (args.deadline > now + config.max_timelock) return ?("deadline: at most " # config.max_timelock.toText() # " ns from now");
    null;
  };

  public func isSubaccount(subaccount : ?Blob) : Bool = switch subaccount { case (?bytes) bytes.size() == 32; case null true };

  /// What a caller keeps in the log.
  public func isNote(note : ?Blob) : Bool = switch note { case (?bytes) bytes.size() <= 64; case null true };

  /// A request of a marketplace.
  public func request(id : Blob, of : Types.SwapRequest) : ?Text {
    if (id.size() == 0 or id.size() > 32) return ?"request_id: 1 to 32 bytes";
    if (not isText(of.give, 1, 64)) return ?"give: 1 to 64 characters";
    if (not isText(of.get, 1, 64)) return ?"get: 1 to 64 characters";
    if (of.give_amount == 0 and of.get_amount == 0) return ?"give_amount, get_amount: one of them more than 0";
    if (of.give_amount >= tooMuch or of.get_amount >= tooMuch) return ?"give_amount, get_amount: less than 2^128";
    if (not isSide(of.initiator)) return ?"initiator: accounts of at most 256 characters";
    if (not isSide(of.participant)) return ?"participant: accounts of at most 256 characters";
    null;
  };

  /// A coordinator's answer to it.
  public func answer(of : Types.RequestAnswer) : ?Text {
    switch of {
      case (#Refused { field; reason }) if (isText(field, 0, 64) and isText(reason, 1, 1024)) null else ?"field: at most 64 characters, reason: 1 to 1024";
      case (#Accepted { swap_id; hashlock; legs }) {
        if (not isText(swap_id, 1, 128)) return ?"swap_id: 1 to 128 characters";
        if (hashlock.size() != 32) return ?"hashlock: 32 bytes";
        if (legs.size() > 4) return ?"legs: at most 4";
        for (leg in legs.vals()) if (not isLeg(leg)) return ?"legs: texts of at most 256 characters, amounts less than 2^128";
        null;
      };
    };
  };

  /// A configuration.
  public func config(of : Types.Config, self : Principal) : ?Text {
    if (of.arbiter.isAnonymous()) return ?"arbiter: not anonymous";
    for (list in [of.ledgers, of.marketplaces, of.coordinators].vals()) {
      if (list.size() > 200) return ?"ledgers, marketplaces, coordinators: at most 200 each";
      for (who in list.vals()) if (who.isAnonymous() or who == self) return ?"ledgers, marketplaces, coordinators: neither anonymous nor this canister";
    };
    if (of.min_timelock > of.max_timelock) return ?"min_timelock: at most max_timelock";
    if (of.max_timelock > 31_536_000_000_000_000) return ?"max_timelock: at most a year";
    if (of.sweep_seconds == 0 or of.sweep_seconds > 86_400) return ?"sweep_seconds: 1 to 86400";
    null;
  };

  /// The management canister, whose principal is empty, has no money of its own.
  func isPayee({ owner; subaccount } : Types.Account, ledger : Principal, self : Principal) : Bool {
    not owner.isAnonymous() and owner.toBlob().size() > 0 and owner != self and owner != ledger and isSubaccount(subaccount);
  };

  func isSide(side : Types.Side) : Bool {
    switch side { case (#Hot) true; case (#External { refund_to; receive_at }) isText(refund_to, 0, 256) and isText(receive_at, 0, 256) };
  };

  func isLeg(leg : Types.AnsweredLeg) : Bool {
    for (text in [leg.role, leg.chain, leg.asset, leg.sender, leg.receiver, leg.reference].vals()) if (not isText(text, 0, 256)) return false;
    leg.amount < tooMuch;
  };

  func isText(text : Text, least : Nat, most : Nat) : Bool = text.size() >= least and text.size() <= most;
};
