/// What the swap canister takes and gives, as far as a marketplace needs it (`canisters/atomic_swap/atomic_swap.did`).
module {
  public type Side = {
    #Hot;
    #External : { refund_to : Text; receive_at : Text; claims_itself : Bool };
  };
  public type SwapRequest = {
    give : Text;
    give_amount : Nat;
    get : Text;
    get_amount : Nat;
    initiator : Side;
    participant : Side;
  };
  public type AnsweredLeg = {
    role : Text;
    chain : Text;
    asset : Text;
    amount : Nat;
    sender : Text;
    receiver : Text;
    timelock : Nat64;
    fund_by : Nat64;
    reference : Text;
  };
  public type Answer = {
    #Accepted : { swap_id : Text; hashlock : Blob; legs : [AnsweredLeg] };
    #Refused : { field : Text; reason : Text };
  };
  public type Request = {
    marketplace : Principal;
    request_id : Blob;
    request : SwapRequest;
    requested_at : Nat64;
    answer : ?Answer;
  };

  type Intent = { #Funding; #Claiming; #Refunding };
  type Phase = {
    #Funding;
    #Locked;
    #Claiming;
    #Refunding;
    #Claimed;
    #Refunded;
    #Cancelled;
    #Quarantined : Intent;
  };
  /// Whatever cases the canister learns later arrive as null, with the message.
  public type Error = {
    kind : {
      #RequestError : ?{
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
      #TemporaryError : ?{
        #Busy;
        #Halted;
        #LedgerUnavailable;
        #LowCycles;
        #RateLimited : { retry_after_ns : Nat64 };
      };
      #InternalError : ?{};
    };
    message : ?Text;
  };

  public type Swaps = actor {
    requestSwap : shared { request_id : Blob; request : SwapRequest } -> async { #Ok : Request; #Err : Error };
    getRequest : shared query { marketplace : Principal; request_id : Blob } -> async ?Request;
  };
};
