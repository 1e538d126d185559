/// The words of the Candid interface. What is not seen from outside stands beside the code that uses it.
module {
  /// 32 bytes: SHA-256 of domain, canister, initiator and nonce. Also the escrow's subaccount on the ledger, and the spender's subaccount of
  /// the approval: every swap has its own money and its own allowance.
  public type SwapId = Blob;

  /// An account of ICRC-1.
  public type Account = { owner : Principal; subaccount : ?Blob };

  /// Why the canister calls a ledger for a swap.
  public type Intent = { #Funding; #Claiming; #Refunding };

  /// One-way: Funding → Locked → Claiming → Claimed, or Locked → Refunding → Refunded. Funding that definitely failed is Cancelled, and may
  /// be begun again until `fund_by`. A trap between a ledger's answer and its being written down is Quarantined, until the arbiter resolves it.
  public type Phase = {
    #Funding;
    #Locked;
    #Claiming;
    #Refunding;
    #Claimed;
    #Refunded;
    #Cancelled;
    #Quarantined : Intent;
  };

  public type InitiateArgs = {
    nonce : Blob; // 32 bytes, idempotency key of this initiator
    ledger : Principal; // allow-listed
    amount : Nat; // net to the payee
    fee : Nat; // the ledger's fee for the payout, on top of the amount
    from_subaccount : ?Blob; // the owner is the caller
    recipient : Account;
    refund_to : Account;
    hashlock : Blob; // SHA-256 of a 32-byte secret
    fund_by : Nat64; // ns since 1970; no funding begins after it
    deadline : Nat64; // ns since 1970; refundable by anyone from then on
  };

  public type Swap = {
    id : SwapId;
    initiator : Principal;
    args : InitiateArgs;
    phase : Phase;
    secret : ?Blob; // public from Claiming on
    lock_block : ?Nat; // the ledger's; null if the balance was the proof
    payout_block : ?Nat;
    created_at : Nat64;
    last_event : Nat; // index in the event log
  };

  /// The caller's fault: the same call gets the same answer.
  public type RequestError = {
    #InvalidArgument;
    #NotFound;
    #NonceReused;
    #WrongSecret;
    #DeadlineNotReached;
    #WrongPhase : Phase;
    #NotAuthorized;
    #LedgerNotAllowed;
    #LedgerRefused;
    #AlreadyAnswered;
    #TooManyOpen;
  };

  /// Nobody's fault for long: the same call may be made again.
  public type TemporaryError = {
    #Busy;
    #Halted;
    #LedgerUnavailable;
    #LowCycles;
    #RateLimited : { retry_after_ns : Nat64 };
  };

  /// What a canister written today can read from the errors of tomorrow: the inner variants are optional.
  public type Error = {
    kind : { #RequestError : ?RequestError; #TemporaryError : ?TemporaryError; #InternalError : ?{} };
    message : ?Text; // for people, never parsed
  };

  public type Answer<T> = { #Ok : T; #Err : Error };
  public type Result = Answer<Swap>;
  public type Done = { #Ok; #Err : Error };

  // -- wake-up from a marketplace

  public type Side = { #Hot; #External : { refund_to : Text; receive_at : Text; claims_itself : Bool } };

  public type SwapRequest = {
    give : Text;
    give_amount : Nat;
    get : Text;
    get_amount : Nat;
    initiator : Side;
    participant : Side;
  };

  public type RequestKey = { marketplace : Principal; request_id : Blob };

  public type AnsweredLeg = {
    role : Text;
    chain : Text;
    asset : Text;
    amount : Nat;
    sender : Text;
    receiver : Text;
    timelock : Nat64; // Unix seconds
    fund_by : Nat64; // Unix seconds
    reference : Text;
  };

  public type RequestAnswer = {
    #Accepted : { swap_id : Text; hashlock : Blob; legs : [AnsweredLeg] };
    #Refused : { field : Text; reason : Text };
  };

  public type Request = {
    marketplace : Principal;
    request_id : Blob; // 1 to 32 bytes
    request : SwapRequest;
    requested_at : Nat64;
    answer : ?RequestAnswer;
  };

  // -- ICRC-3

  public type Value = {
    #Blob : Blob;
    #Text : Text;
    #Nat : Nat;
    #Int : Int;
    #Array : [Value];
    #Map : [(Text, Value)];
  };

  public type Ranges = [{ start : Nat; length : Nat }];

  public type Blocks = {
    log_length : Nat;
    blocks : [{ id : Nat; block : Value }];
    archived_blocks : [{ args : Ranges; callback : shared query Ranges -> async Blocks }];
  };

  // -- running it

  public type Limits = { open_swaps_per_caller : Nat; initiates_per_minute : Nat; requests_per_minute : Nat };

  public type Config = {
    arbiter : Principal; // resolves what is quarantined; may be a multisig canister
    ledgers : [Principal];
    min_timelock : Nat64; // ns
    max_timelock : Nat64; // ns
    marketplaces : [Principal]; // may requestSwap
    coordinators : [Principal]; // may acknowledgeSwap
    limits : Limits;
    min_cycles : Nat; // below it entry is refused with LowCycles
    sweep_seconds : Nat64; // how often the canister looks for what is due
  };

  public type Filter = { party : ?Principal; phases : ?[Phase] };

  public type Health = {
    cycles : Nat;
    memory_bytes : Nat; // Wasm memory and stable memory
    heap_bytes : Nat;
    log_length : Nat;
    swaps : Nat;
    open_swaps : Nat;
    quarantined : Nat;
    halted : Bool;
    halted_ledgers : [Principal];
    low_cycles : Bool;
    last_sweep : Nat64; // ns; 0 since the last upgrade
    config : Config;
  };
};
