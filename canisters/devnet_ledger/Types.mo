/// What ICRC-1 and ICRC-2 call by name.
module {
  public type Subaccount = Blob;
  public type Account = { owner : Principal; subaccount : ?Subaccount };
  public type Value = { #Nat : Nat; #Int : Int; #Text : Text; #Blob : Blob };

  public type TransferArgs = {
    from_subaccount : ?Subaccount;
    to : Account;
    amount : Nat;
    fee : ?Nat;
    memo : ?Blob;
    created_at_time : ?Nat64;
  };
  public type TransferFromArgs = {
    spender_subaccount : ?Subaccount;
    from : Account;
    to : Account;
    amount : Nat;
    fee : ?Nat;
    memo : ?Blob;
    created_at_time : ?Nat64;
  };
  public type ApproveArgs = {
    from_subaccount : ?Subaccount;
    spender : Account;
    amount : Nat;
    expected_allowance : ?Nat;
    expires_at : ?Nat64;
    fee : ?Nat;
    memo : ?Blob;
    created_at_time : ?Nat64;
  };
  public type AllowanceArgs = { account : Account; spender : Account };
  public type Allowance = { allowance : Nat; expires_at : ?Nat64 };

  /// What any of the three may answer.
  public type CommonError = {
    #BadFee : { expected_fee : Nat };
    #InsufficientFunds : { balance : Nat };
    #TooOld;
    #CreatedInFuture : { ledger_time : Nat64 };
    #Duplicate : { duplicate_of : Nat };
    #TemporarilyUnavailable;
    #GenericError : { error_code : Nat; message : Text };
  };
  public type TransferError = CommonError or { #BadBurn : { min_burn_amount : Nat } };
  public type TransferFromError = TransferError or { #InsufficientAllowance : { allowance : Nat } };
  public type ApproveError = CommonError or {
    #AllowanceChanged : { current_allowance : Nat };
    #Expired : { ledger_time : Nat64 };
  };

  public type Result<E> = { #Ok : Nat; #Err : E };

  /// One entry of the log: what changed balances or allowances, in order.
  public type Block = {
    index : Nat;
    timestamp : Nat64; // ns since 1970
    operation : { #Mint; #Burn; #Transfer; #Approve };
    from : Account;
    to : Account; // for #Approve, the spender
    spender : ?Account; // who used an allowance
    amount : Nat;
    fee : Nat; // what was really paid
    memo : ?Blob;
    created_at_time : ?Nat64;
  };
};
