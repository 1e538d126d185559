/// A token for devnet and tests, faithful to ICRC-1 and ICRC-2 until the owner of its minting account says otherwise.
///
/// It is never to hold anything of value: its faults are at its owner's command.
import Error "mo:core/Error";
import Int "mo:core/Int";
import List "mo:core/List";
import Nat "mo:core/Nat";
import Nat8 "mo:core/Nat8";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";
import Time "mo:core/Time";
import Types "Types";
import Faults "Faults";
import Ledger "Ledger";

persistent actor class DevnetLedger(
  init : {
    symbol : Text;
    name : Text;
    decimals : Nat8;
    fee : Nat;
    minting_account : Types.Account;
    initial : [(Types.Account, Nat)];
  }
) {
  type Account = Types.Account;

  func now() : Nat64 = Nat64.fromNat(Int.abs(Time.now()));

  let symbol = init.symbol;
  let name = init.name;
  let decimals = init.decimals;
  let ledger = Ledger.new(init.minting_account, init.fee, init.initial, now());
  let faults = Faults.none();
  var releases = 0;

  transient let blocksAtOnce = 1_000;

  // -- ICRC-1

  public query func icrc1_name() : async Text { name };
  public query func icrc1_symbol() : async Text { symbol };
  public query func icrc1_decimals() : async Nat8 { decimals };
  public query func icrc1_total_supply() : async Nat { ledger.supply };
  public query func icrc1_minting_account() : async ?Account { ?ledger.minting };

  public query func icrc1_fee() : async Nat {
    refuse("icrc1_fee", []);
    ledger.fee;
  };

  public query func icrc1_balance_of(account : Account) : async Nat {
    refuse("icrc1_balance_of", [account]);
    Ledger.balance(ledger, account);
  };

  public query func icrc1_metadata() : async [(Text, Types.Value)] {
    [
      ("icrc1:symbol", #Text symbol),
      ("icrc1:name", #Text name),
      ("icrc1:decimals", #Nat(Nat8.toNat(decimals))),
      ("icrc1:fee", #Nat(ledger.fee)),
      ("icrc1:max_memo_length", #Nat(Ledger.maxMemo)),
    ];
  };

  public query func icrc1_supported_standards() : async [{ name : Text; url : Text }] {
    let standards = "https://github.com/dfinity/ICRC-1/tree/main/standards/";
    [{ name = "ICRC-1"; url = standards # "ICRC-1" }, { name = "ICRC-2"; url = standards # "ICRC-2" }];
  };

  public shared ({ caller }) func icrc1_transfer(args : Types.TransferArgs) : async Types.Result<Types.TransferError> {
    let from = { owner = caller; subaccount = args.from_subaccount };
    let fault = Faults.take(faults, "icrc1_transfer", [from, args.to]);
    await* before(fault);
    let answer = during<Types.TransferError>(
      fault,
      func(error) = error,
      func() = Ledger.transfer(ledger, caller, args, now()),
    );
    await* after(fault);
    answer;
  };

  // -- ICRC-2

  public shared ({ caller }) func icrc2_approve(args : Types.ApproveArgs) : async Types.Result<Types.ApproveError> {
    let from = { owner = caller; subaccount = args.from_subaccount };
    let fault = Faults.take(faults, "icrc2_approve", [from, args.spender]);
    await* before(fault);
    let answer = during<Types.ApproveError>(
      fault,
      func(error) = error,
      func() = Ledger.approve(ledger, caller, args, now()),
    );
    await* after(fault);
    answer;
  };

  public shared ({ caller }) func icrc2_transfer_from(
    args : Types.TransferFromArgs
  ) : async Types.Result<Types.TransferFromError> {
    let fault = Faults.take(faults, "icrc2_transfer_from", [args.from, args.to]);
    await* before(fault);
    let answer = during<Types.TransferFromError>(
      fault,
      func(error) = error,
      func() = Ledger.transferFrom(ledger, caller, args, now()),
    );
    await* after(fault);
    answer;
  };

  public query func icrc2_allowance(args : Types.AllowanceArgs) : async Types.Allowance {
    refuse("icrc2_allowance", [args.account]);
    Ledger.allowance(ledger, args, now());
  };

  // -- for tests

  /// Blocks `start` to `start + length`, at most 1,000, and how many there are in all.
  public query func blocks({ start : Nat; length : Nat }) : async { log_length : Nat; blocks : [Types.Block] } {
    let log_length = List.size(ledger.blocks);
    let end = Nat.min(log_length, start + Nat.min(length, blocksAtOnce));
    { log_length; blocks = List.sliceToArray(ledger.blocks, Nat.min(start, end), end) };
  };

  /// The next calls of a method suffer these faults, one each; no faults: it behaves again. Queries know only the
  /// first #TrapBefore or #RejectBefore, and suffer it until it is taken away.
  public shared ({ caller }) func misbehave(plan : Faults.Plan) : async () {
    onlyOwner(caller);
    Faults.set(faults, plan);
  };

  /// Lets go of all answers that are held back by #Late.
  public shared ({ caller }) func release() : async () {
    onlyOwner(caller);
    releases += 1;
  };

  /// What a transfer costs from now on.
  public shared ({ caller }) func set_fee(fee : Nat) : async () {
    onlyOwner(caller);
    ledger.fee := fee;
  };

  /// `icrc1_transfer`, but with an answer that no client of the standard can decode. Tests swap the names of the two in
  /// the Wasm module: the type of an answer cannot be chosen when it is given.
  public shared ({ caller }) func icrc1_mumbling(args : Types.TransferArgs) : async Text {
    ignore Ledger.transfer(ledger, caller, args, now());
    "mumble";
  };

  /// The same for `icrc2_transfer_from`.
  public shared ({ caller }) func icrc2_mumbling_from(args : Types.TransferFromArgs) : async Text {
    ignore Ledger.transferFrom(ledger, caller, args, now());
    "mumble";
  };

  func onlyOwner(caller : Principal) {
    if (caller != ledger.minting.owner) Runtime.trap("only the minting account's owner may do this");
  };

  // A trap undoes what its message did. So before one the state is committed by an await: else the fault would not be
  // used up, or what was to have moved would not have.

  /// Faults that come before anything moves.
  func before(fault : ?Faults.Fault) : async* () {
    switch fault {
      case (?#RejectBefore) throw Error.reject("misbehaving, nothing moved");
      case (?#TrapBefore) {
        await async {};
        Runtime.trap("misbehaving, nothing moved");
      };
      case _ {};
    };
  };

  /// The answer, and, unless the fault says otherwise, the work. What was refused stays refused.
  func during<E>(fault : ?Faults.Fault, common : Types.CommonError -> E, work : () -> Types.Result<E>) : Types.Result<E> {
    switch fault {
      case (?#Err error) return #Err(common(error));
      case (?#Unmoved block) return #Ok block;
      case _ {};
    };
    switch (work(), fault) {
      case (#Ok _, ?#WrongBlock block) #Ok block;
      case (answer, _) answer;
    };
  };

  /// Faults that come when the work is done.
  func after(fault : ?Faults.Fault) : async* () {
    switch fault {
      case (?#RejectAfter) throw Error.reject("misbehaving, it moved");
      case (?#TrapAfter) {
        await async {};
        Runtime.trap("misbehaving, it moved");
      };
      case (?#Late rounds) await* hold(rounds);
      case _ {};
    };
  };

  func hold(rounds : Nat) : async* () {
    let before = releases;
    var left = rounds;
    while (left > 0 and releases == before) {
      await async {};
      left -= 1;
    };
  };

  /// The faults of queries: they cannot use one up.
  func refuse(method : Text, parties : [Account]) {
    switch (Faults.peek(faults, method, parties)) {
      case (?#TrapBefore or ?#RejectBefore) Runtime.trap("misbehaving");
      case _ {};
    };
  };
};
