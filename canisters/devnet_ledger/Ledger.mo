/// The rules of ICRC-1 and ICRC-2 over balances and allowances in memory: no time, caller or call of its own.
///
/// Where the standards leave a choice it is made as in DFINITY's ledger: a wrong fee and a burn that is too small are
/// found before duplicates are looked for; an over-long memo, a bad subaccount and a self-approval trap.
import List "mo:core/List";
import Map "mo:core/Map";
import Nat "mo:core/Nat";
import Queue "mo:core/Queue";
import Runtime "mo:core/Runtime";
import Text "mo:core/Text";
import Types "Types";
import Accounts "Accounts";

module {
  type Account = Types.Account;
  type Allowance = Types.Allowance;
  type Result<E> = Types.Result<E>;
  type Operation = { #Mint; #Burn; #Transfer };

  /// For so long a call with `created_at_time` is remembered.
  public let txWindow : Nat64 = 86_400_000_000_000;
  /// By so much clocks may differ.
  public let permittedDrift : Nat64 = 120_000_000_000;
  public let maxMemo = 32;

  public type State = {
    minting : Account;
    var fee : Nat;
    var supply : Nat;
    balances : Map.Map<Account, Nat>;
    allowances : Map.Map<(Account, Account), Allowance>;
    blocks : List.List<Types.Block>;
    recent : Map.Map<Text, Nat>; // a call in full, to its block
    ages : Queue.Queue<(Nat64, Text)>; // what is in `recent`, as it came
  };

  /// A ledger on which `initial` has been minted, a block each.
  public func new(minting : Account, fee : Nat, initial : [(Account, Nat)], now : Nat64) : State {
    let state : State = {
      minting = Accounts.canonical(minting);
      var fee;
      var supply = 0;
      balances = Map.empty();
      allowances = Map.empty();
      blocks = List.empty();
      recent = Map.empty();
      ages = Queue.empty();
    };
    for ((to, amount) in initial.values()) {
      let account = Accounts.canonical(to);
      credit(state, account, amount);
      state.supply += amount;
      let args = { memo = null; created_at_time = null };
      ignore append(state, now, #Mint, state.minting, account, null, amount, 0, args);
    };
    state;
  };

  public func balance(state : State, account : Account) : Nat {
    switch (Map.get(state.balances, Accounts.compare, Accounts.canonical(account))) {
      case (?amount) amount;
      case null 0;
    };
  };

  /// An allowance that has expired is none.
  public func allowance(state : State, args : Types.AllowanceArgs, now : Nat64) : Allowance {
    let pair = (Accounts.canonical(args.account), Accounts.canonical(args.spender));
    switch (Map.get(state.allowances, Accounts.comparePairs, pair)) {
      case (?found) if (expired(found.expires_at, now)) nothing else found;
      case null nothing;
    };
  };

  public func transfer(
    state : State,
    caller : Principal,
    args : Types.TransferArgs,
    now : Nat64,
  ) : Result<Types.TransferError> {
    let from = Accounts.account(caller, args.from_subaccount);
    let to = Accounts.canonical(args.to);
    checkMemo(args.memo);
    let call = debug_show (#transfer(from, { args with from_subaccount = null; to }));
    let (operation, fee) = kind(state, from, to);
    switch (refusal(state, operation, from, args, fee)) { case (?error) return #Err error; case null {} };
    switch (untimely(state, args.created_at_time, call, now)) { case (?error) return #Err error; case null {} };
    if (operation != #Mint and balance(state, from) < args.amount + fee) {
      return #Err(#InsufficientFunds { balance = balance(state, from) });
    };
    move(state, operation, from, to, args.amount, fee);
    let block = append(state, now, operation, from, to, null, args.amount, fee, args);
    remember(state, args.created_at_time, call, block);
    #Ok block;
  };

  public func transferFrom(
    state : State,
    caller : Principal,
    args : Types.TransferFromArgs,
    now : Nat64,
  ) : Result<Types.TransferFromError> {
    let spender = Accounts.account(caller, args.spender_subaccount);
    let from = Accounts.canonical(args.from);
    let to = Accounts.canonical(args.to);
    checkMemo(args.memo);
    let call = debug_show (#transferFrom(spender, { args with spender_subaccount = null; from; to }));
    let (operation, fee) = kind(state, from, to);
    if (operation == #Mint) Runtime.trap("the minting account cannot delegate mints");
    switch (refusal(state, operation, from, args, fee)) { case (?error) return #Err error; case null {} };
    switch (untimely(state, args.created_at_time, call, now)) { case (?error) return #Err error; case null {} };
    let cost = args.amount + fee;
    let allowed = allowance(state, { account = from; spender }, now);
    let own = from == spender; // one needs no allowance for what is one's own
    if (not own and allowed.allowance < cost) {
      return #Err(#InsufficientAllowance { allowance = allowed.allowance });
    };
    if (balance(state, from) < cost) return #Err(#InsufficientFunds { balance = balance(state, from) });
    if (not own) allow(state, (from, spender), { allowed with allowance = allowed.allowance - cost : Nat });
    move(state, operation, from, to, args.amount, fee);
    let block = append(state, now, operation, from, to, ?spender, args.amount, fee, args);
    remember(state, args.created_at_time, call, block);
    #Ok block;
  };

  public func approve(
    state : State,
    caller : Principal,
    args : Types.ApproveArgs,
    now : Nat64,
  ) : Result<Types.ApproveError> {
    let from = Accounts.account(caller, args.from_subaccount);
    let spender = Accounts.canonical(args.spender);
    if (caller == spender.owner) Runtime.trap("self-approval is not allowed");
    if (from == state.minting) Runtime.trap("the minting account cannot delegate mints");
    checkMemo(args.memo);
    let call = debug_show (#approve(from, { args with from_subaccount = null; spender }));
    switch (wrongFee(args.fee, state.fee)) { case (?error) return #Err error; case null {} };
    switch (untimely(state, args.created_at_time, call, now)) { case (?error) return #Err error; case null {} };
    let current = allowance(state, { account = from; spender }, now).allowance;
    switch (args.expected_allowance) {
      case (?expected) if (expected != current) return #Err(#AllowanceChanged { current_allowance = current });
      case null {};
    };
    if (expired(args.expires_at, now)) return #Err(#Expired { ledger_time = now });
    if (balance(state, from) < state.fee) return #Err(#InsufficientFunds { balance = balance(state, from) });
    debit(state, from, state.fee);
    state.supply -= state.fee;
    allow(state, (from, spender), { allowance = args.amount; expires_at = args.expires_at });
    let block = append(state, now, #Approve, from, spender, null, args.amount, state.fee, args);
    remember(state, args.created_at_time, call, block);
    #Ok block;
  };

  // -- what is refused

  let nothing : Allowance = { allowance = 0; expires_at = null };

  func expired(at : ?Nat64, now : Nat64) : Bool = switch at { case (?time) time <= now; case null false };

  func checkMemo(memo : ?Blob) {
    let ?bytes = memo else return;
    if (bytes.size() > maxMemo) Runtime.trap("the memo field is too large");
  };

  /// What a transfer is, and what it costs: mints and burns are free.
  func kind(state : State, from : Account, to : Account) : (Operation, Nat) {
    if (to == state.minting) (#Burn, 0) else if (from == state.minting) (#Mint, 0) else (#Transfer, state.fee);
  };

  func wrongFee(given : ?Nat, expected : Nat) : ?{ #BadFee : { expected_fee : Nat } } {
    switch given {
      case (?fee) if (fee == expected) null else ?#BadFee { expected_fee = expected };
      case null null;
    };
  };

  /// A fee that is not the ledger's, or a burn below its fee (unless it burns all there is).
  func refusal(
    state : State,
    operation : Operation,
    from : Account,
    args : { fee : ?Nat; amount : Nat },
    fee : Nat,
  ) : ?{ #BadFee : { expected_fee : Nat }; #BadBurn : { min_burn_amount : Nat } } {
    switch (wrongFee(args.fee, fee)) { case (?error) return ?error; case null {} };
    if (operation != #Burn) return null;
    let least = Nat.min(state.fee, balance(state, from));
    if (args.amount < least) return ?#BadBurn { min_burn_amount = least };
    if (args.amount == 0) ?#BadBurn { min_burn_amount = state.fee } else null;
  };

  /// ICRC-1, "Transaction deduplication".
  func untimely(state : State, createdAt : ?Nat64, call : Text, now : Nat64) : ?{
    #TooOld;
    #CreatedInFuture : { ledger_time : Nat64 };
    #Duplicate : { duplicate_of : Nat };
  } {
    let ?time = createdAt else return null;
    if (time > now + permittedDrift) return ?#CreatedInFuture { ledger_time = now };
    if (time + txWindow + permittedDrift < now) return ?#TooOld;
    forget(state, now);
    switch (Map.get(state.recent, Text.compare, call)) {
      case (?block) ?#Duplicate { duplicate_of = block };
      case null null;
    };
  };

  // -- what changes

  func credit(state : State, account : Account, amount : Nat) {
    Map.add(state.balances, Accounts.compare, account, balance(state, account) + amount);
  };

  func debit(state : State, account : Account, amount : Nat) {
    let left : Nat = balance(state, account) - amount;
    if (left == 0) return Map.remove(state.balances, Accounts.compare, account);
    Map.add(state.balances, Accounts.compare, account, left);
  };

  func move(state : State, operation : Operation, from : Account, to : Account, amount : Nat, fee : Nat) {
    if (operation == #Mint) state.supply += amount else debit(state, from, amount + fee);
    if (operation == #Burn) state.supply -= amount else credit(state, to, amount);
    state.supply -= fee;
  };

  func allow(state : State, pair : (Account, Account), given : Allowance) {
    if (given.allowance == 0) return Map.remove(state.allowances, Accounts.comparePairs, pair);
    Map.add(state.allowances, Accounts.comparePairs, pair, given);
  };

  func append(
    state : State,
    timestamp : Nat64,
    operation : Operation or { #Approve },
    from : Account,
    to : Account,
    spender : ?Account,
    amount : Nat,
    fee : Nat,
    { memo; created_at_time } : { memo : ?Blob; created_at_time : ?Nat64 },
  ) : Nat {
    let index = List.size(state.blocks);
    List.add(state.blocks, { index; timestamp; operation; from; to; spender; amount; fee; memo; created_at_time });
    index;
  };

  func remember(state : State, createdAt : ?Nat64, call : Text, block : Nat) {
    let ?time = createdAt else return;
    Map.add(state.recent, Text.compare, call, block);
    Queue.pushBack(state.ages, (time, call));
  };

  /// Calls that would be #TooOld by now.
  func forget(state : State, now : Nat64) {
    label old loop {
      let ?(time, call) = Queue.peekFront(state.ages) else break old;
      if (time + txWindow + permittedDrift >= now) break old;
      ignore Queue.popFront(state.ages);
      Map.remove(state.recent, Text.compare, call);
    };
  };
};
