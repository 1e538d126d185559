/// Calls of an ICRC-1/ICRC-2 ledger. Whatever a ledger does comes back as an `Answer`: these functions never throw.
import Error "mo:core/Error";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Types "Types";

module {
  type Account = Types.Account;

  public type TransferArgs = {
    from_subaccount : ?Blob;
    to : Account;
    amount : Nat;
    fee : ?Nat;
    memo : ?Blob;
    created_at_time : ?Nat64;
  };

  public type TransferFromArgs = {
    spender_subaccount : ?Blob;
    from : Account;
    to : Account;
    amount : Nat;
    fee : ?Nat;
    memo : ?Blob;
    created_at_time : ?Nat64;
  };

  type TransferError = {
    #BadFee : { expected_fee : Nat };
    #BadBurn : { min_burn_amount : Nat };
    #InsufficientFunds : { balance : Nat };
    #TooOld;
    #CreatedInFuture : { ledger_time : Nat64 };
    #Duplicate : { duplicate_of : Nat };
    #TemporarilyUnavailable;
    #GenericError : { error_code : Nat; message : Text };
  };

  type TransferFromError = TransferError or { #InsufficientAllowance : { allowance : Nat } };

  type Actor = actor {
    icrc1_balance_of : shared query Account -> async Nat;
    icrc1_fee : shared query () -> async Nat;
    icrc1_transfer : shared TransferArgs -> async { #Ok : Nat; #Err : TransferError };
    icrc2_transfer_from : shared TransferFromArgs -> async { #Ok : Nat; #Err : TransferFromError };
  };

  /// What became of one transfer.
  public type Answer = {
    #Moved : Nat; // in this block, by this call or by an identical one before it
    #BadFee : Nat; // the fee expected
    #TooOld; // whether it was done before is forgotten
    #Insufficient : Text; // funds or allowance
    #Refused : Text; // for good
    #NotNow : Text; // said by the ledger: nothing was done
    #NotSent : Text; // the call did not leave this canister
    #Unknown : Text; // the call was rejected: it may have been done or not
  };

  /// What became of a question.
  public type Told = { #Amount : Nat; #NoAnswer : Text };

  /// ICRC-2 `icrc2_transfer_from`.
  public func pull(ledger : Principal, args : TransferFromArgs) : async* Answer {
    try {
      switch (await at(ledger).icrc2_transfer_from(args)) {
        case (#Ok block) #Moved block;
        case (#Err error) explain(error);
      };
    } catch error { rejected(error) };
  };

  /// ICRC-1 `icrc1_transfer`.
  public func pay(ledger : Principal, args : TransferArgs) : async* Answer {
    try {
      switch (await at(ledger).icrc1_transfer(args)) {
        case (#Ok block) #Moved block;
        case (#Err error) explain(error);
      };
    } catch error { rejected(error) };
  };

  /// ICRC-1 `icrc1_balance_of`.
  public func balance(ledger : Principal, account : Account) : async* Told {
    try { #Amount(await at(ledger).icrc1_balance_of(account)) } catch error {
      #NoAnswer(Error.message(error));
    };
  };

  /// ICRC-1 `icrc1_fee`.
  public func fee(ledger : Principal) : async* Told {
    try { #Amount(await at(ledger).icrc1_fee()) } catch error {
      #NoAnswer(Error.message(error));
    };
  };

  func at(ledger : Principal) : Actor = actor (Principal.toText(ledger));

  func explain(error : TransferFromError) : Answer {
    switch error {
      case (#Duplicate { duplicate_of }) #Moved duplicate_of;
      case (#BadFee { expected_fee }) #BadFee expected_fee;
      case (#TooOld) #TooOld;
      case (#InsufficientFunds { balance }) #Insufficient("InsufficientFunds: the balance is " # balance.toText());
      case (#InsufficientAllowance { allowance }) #Insufficient("InsufficientAllowance: the allowance is " # allowance.toText());
      case (#BadBurn { min_burn_amount }) #Refused("BadBurn: at least " # min_burn_amount.toText());
      case (#GenericError { error_code; message }) #Refused("GenericError " # error_code.toText() # ": " # message);
      case (#TemporarilyUnavailable) #NotNow "TemporarilyUnavailable";
      case (#CreatedInFuture { ledger_time }) #NotNow("CreatedInFuture: the ledger's time is " # ledger_time.toText());
    };
  };

  func rejected(error : Error.Error) : Answer {
    switch (Error.code(error)) {
      case (#call_error _) #NotSent "the call could not be sent";
      case _ #Unknown(Error.message(error));
    };
  };
};
