/// Who may do what. Money goes to the two accounts in a swap's terms whoever calls, so most of it is open to anyone but the anonymous.
import Principal "mo:core/Principal";
import Types "Types";

module {
  /// The arbiter, and controllers: halting, and seeing how the canister is.
  public func isOperator(config : Types.Config, caller : Principal) : Bool = caller == config.arbiter or caller.isController();

  /// Who may end a quarantine.
  public func isArbiter(config : Types.Config, caller : Principal) : Bool = caller == config.arbiter and not caller.isAnonymous();

  /// Who may ask for swaps.
  public func isMarketplace(config : Types.Config, caller : Principal) : Bool = isListed(config.marketplaces, caller);

  /// Who may answer them.
  public func isCoordinator(config : Types.Config, caller : Principal) : Bool = isListed(config.coordinators, caller);

  /// Which ledgers may be pulled from.
  public func isLedger(config : Types.Config, ledger : Principal) : Bool = isListed(config.ledgers, ledger);

  func isListed(list : [Principal], who : Principal) : Bool {
    for (listed in list.vals()) if (listed == who) return true;
    false;
  };
};
