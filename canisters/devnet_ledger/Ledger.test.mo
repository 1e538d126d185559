import Blob "mo:core/Blob";
import List "mo:core/List";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Array "mo:core/Array";
import Map "mo:core/Map";
import Ledger "Ledger";
import Types "Types";

let second : Nat64 = 1_000_000_000;
let now : Nat64 = 1_800_000_000 * second;
let fee = 10;

let minter = Principal.fromText("aaaaa-aa");
let alice = Principal.fromText("2vxsx-fae");
let bob = Principal.fromText("rrkah-fqaaa-aaaaa-aaaaq-cai");

func of(owner : Principal) : Types.Account = { owner; subaccount = null };
func sub(byte : Nat8) : Blob = Blob.fromArray(Array.repeat<Nat8>(byte, 32));

func fresh() : Ledger.State = Ledger.new(of(minter), fee, [(of(alice), 1_000)], now);

let plain : Types.TransferArgs = {
  from_subaccount = null;
  to = of(bob);
  amount = 100;
  fee = null;
  memo = null;
  created_at_time = null;
};
func poor(balance : Nat) : { #Err : { #InsufficientFunds : { balance : Nat } } } = #Err(#InsufficientFunds { balance });
func again(duplicate_of : Nat) : { #Err : { #Duplicate : { duplicate_of : Nat } } } = #Err(#Duplicate { duplicate_of });

let pull : Types.TransferFromArgs = {
  spender_subaccount = null;
  from = of(alice);
  to = of(bob);
  amount = 100;
  fee = null;
  memo = null;
  created_at_time = null;
};
let approval : Types.ApproveArgs = {
  from_subaccount = null;
  spender = of(bob);
  amount = 110;
  expected_allowance = null;
  expires_at = null;
  fee = null;
  memo = null;
  created_at_time = null;
};

// What is minted at the beginning is the supply, in a block each.
do {
  let ledger = fresh();
  assert ledger.supply == 1_000;
  assert Ledger.balance(ledger, of(alice)) == 1_000;
  assert Ledger.balance(ledger, of(minter)) == 0;
  assert List.size(ledger.blocks) == 1;
};

// A transfer costs the fee, which is burnt; without a fee given the ledger's is taken.
do {
  let ledger = fresh();
  assert Ledger.transfer(ledger, alice, plain, now) == #Ok 1;
  assert Ledger.transfer(ledger, alice, { plain with fee = ?fee }, now) == #Ok 2;
  assert Ledger.balance(ledger, of(alice)) == 780;
  assert Ledger.balance(ledger, of(bob)) == 200;
  assert ledger.supply == 980;
};

// A wrong fee, or more than there is: nothing moves.
do {
  let ledger = fresh();
  assert Ledger.transfer(ledger, alice, { plain with fee = ?(fee + 1) }, now) == #Err(#BadFee { expected_fee = fee });
  assert Ledger.transfer(ledger, alice, { plain with amount = 991 }, now) == poor(1_000);
  assert Ledger.balance(ledger, of(alice)) == 1_000 and Ledger.balance(ledger, of(bob)) == 0;
  assert List.size(ledger.blocks) == 1;
  assert Ledger.transfer(ledger, alice, { plain with amount = 990 }, now) == #Ok 1; // exactly all
  assert Ledger.balance(ledger, of(alice)) == 0;
};

// To oneself: only the fee is gone.
do {
  let ledger = fresh();
  assert Ledger.transfer(ledger, alice, { plain with to = of(alice) }, now) == #Ok 1;
  assert Ledger.balance(ledger, of(alice)) == 990;
};

// The default subaccount has two spellings; others are accounts of their own.
do {
  let ledger = fresh();
  let args = { plain with from_subaccount = ?sub(0); to = { owner = bob; subaccount = ?sub(1) } };
  assert Ledger.transfer(ledger, alice, args, now) == #Ok 1;
  assert Ledger.balance(ledger, { owner = alice; subaccount = ?sub(0) }) == 890;
  assert Ledger.balance(ledger, { owner = bob; subaccount = ?sub(1) }) == 100;
  assert Ledger.balance(ledger, of(bob)) == 0;
};

// Mint and burn are free and say so if a fee is given; a burn is at least the fee, or all there is.
do {
  let ledger = fresh();
  assert Ledger.transfer(ledger, minter, { plain with fee = ?fee }, now) == #Err(#BadFee { expected_fee = 0 });
  assert Ledger.transfer(ledger, minter, { plain with amount = 15; fee = ?0 }, now) == #Ok 1;
  assert ledger.supply == 1_015;
  let burn = { plain with to = of(minter); amount = 10 };
  assert Ledger.transfer(ledger, bob, { burn with fee = ?fee }, now) == #Err(#BadFee { expected_fee = 0 });
  assert Ledger.transfer(ledger, bob, { burn with amount = 9 }, now) == #Err(#BadBurn { min_burn_amount = 10 });
  assert Ledger.transfer(ledger, bob, burn, now) == #Ok 2;
  assert ledger.supply == 1_005;
  assert Ledger.transfer(ledger, bob, { burn with amount = 4 }, now) == #Err(#BadBurn { min_burn_amount = 5 });
  assert Ledger.transfer(ledger, bob, { burn with amount = 5 }, now) == #Ok 3;
  assert Ledger.transfer(ledger, bob, { burn with amount = 0 }, now) == #Err(#BadBurn { min_burn_amount = 10 });
  assert Ledger.transfer(ledger, alice, { burn with amount = 1_001 }, now) == poor(1_000);
  assert ledger.supply == 1_000;
};

// Times: 24 h and a drift of 2 min back, 2 min ahead, both included.
do {
  let ledger = fresh();
  let oldest = now - 86_400 * second - 120 * second;
  func at(time : Nat64) : Types.Result<Types.TransferError> {
    Ledger.transfer(ledger, alice, { plain with created_at_time = ?time }, now);
  };
  assert at(oldest - 1) == #Err(#TooOld);
  assert at(oldest) == #Ok 1;
  assert at(now + 120 * second) == #Ok 2;
  assert at(now + 120 * second + 1) == #Err(#CreatedInFuture { ledger_time = now });
  assert at(0xffff_ffff_ffff_ffff) == #Err(#CreatedInFuture { ledger_time = now });
  assert at(0) == #Err(#TooOld);
};

// The same call of the same caller is done once; any other argument makes it another call.
do {
  let ledger = fresh();
  let args = { plain with created_at_time = ?now; memo = ?("m" : Blob); amount = 1 };
  let later = now + 3_600 * second;
  assert Ledger.transfer(ledger, alice, args, now) == #Ok 1;
  assert Ledger.transfer(ledger, alice, args, later) == again(1);
  assert Ledger.transfer(ledger, alice, { args with from_subaccount = ?sub(0) }, later) == again(1);
  assert Ledger.transfer(ledger, alice, { args with memo = null }, later) == #Ok 2;
  assert Ledger.transfer(ledger, alice, { args with amount = 2 }, later) == #Ok 3;
  assert Ledger.transfer(ledger, alice, { args with fee = ?fee }, later) == #Ok 4;
  assert Ledger.transfer(ledger, alice, { args with created_at_time = ?(now + 1) }, later) == #Ok 5;
  assert Ledger.transfer(ledger, alice, { args with to = { owner = bob; subaccount = ?sub(1) } }, later) == #Ok 6;
  assert Ledger.transfer(ledger, bob, args, later) == poor(6); // of another caller: no duplicate
  assert Ledger.transfer(ledger, alice, plain, later) == #Ok 7; // without a time there are no duplicates
  assert Ledger.transfer(ledger, alice, plain, later) == #Ok 8;
};

// A call that was refused is not remembered; a changed fee is found before the duplicate.
do {
  let ledger = fresh();
  let args = { plain with created_at_time = ?now; fee = ?fee; amount = 2_000 };
  assert Ledger.transfer(ledger, alice, args, now) == poor(1_000);
  assert Ledger.transfer(ledger, minter, { plain with to = of(alice); amount = 5_000 }, now) == #Ok 1;
  assert Ledger.transfer(ledger, alice, args, now) == #Ok 2;
  ledger.fee := 11;
  assert Ledger.transfer(ledger, alice, args, now) == #Err(#BadFee { expected_fee = 11 });
  ledger.fee := fee;
  assert Ledger.transfer(ledger, alice, args, now) == again(2);
};

// What is past the window is forgotten, and only that.
do {
  let ledger = fresh();
  let first = { plain with created_at_time = ?now };
  assert Ledger.transfer(ledger, alice, first, now) == #Ok 1;
  let edge = now + 86_520 * second;
  let next = { plain with created_at_time = ?edge };
  assert Ledger.transfer(ledger, alice, first, edge) == again(1);
  assert Ledger.transfer(ledger, alice, next, edge + 1) == #Ok 2;
  assert Map.size(ledger.recent) == 1;
  assert Ledger.transfer(ledger, alice, first, edge + 1) == #Err(#TooOld);
};

// An approval costs the fee, and sets the allowance anew; nothing else is needed for it.
do {
  let ledger = fresh();
  assert Ledger.approve(ledger, alice, { approval with amount = 9_999_999 }, now) == #Ok 1;
  assert Ledger.balance(ledger, of(alice)) == 990 and ledger.supply == 990;
  assert Ledger.approve(ledger, alice, approval, now) == #Ok 2;
  assert Ledger.allowance(ledger, { account = of(alice); spender = of(bob) }, now).allowance == 110;
  assert Ledger.approve(ledger, bob, { approval with spender = of(alice) }, now) == poor(0);
  assert Ledger.approve(ledger, alice, { approval with fee = ?0 }, now) == #Err(#BadFee { expected_fee = 10 });
};

// expected_allowance, expires_at, duplicates of approvals.
do {
  let ledger = fresh();
  let timed = { approval with expires_at = ?(now + 1); expected_allowance = ?0; created_at_time = ?now };
  assert Ledger.approve(ledger, alice, { timed with expires_at = ?now }, now) == #Err(#Expired { ledger_time = now });
  assert Ledger.approve(ledger, alice, timed, now) == #Ok 1;
  assert Ledger.approve(ledger, alice, timed, now) == again(1);
  let anew = { timed with created_at_time = null };
  assert Ledger.approve(ledger, alice, anew, now) == #Err(#AllowanceChanged { current_allowance = 110 });
  let asked = { account = of(alice); spender = of(bob) };
  assert Ledger.allowance(ledger, asked, now) == { allowance = 110; expires_at = ?(now + 1) };
  assert Ledger.allowance(ledger, asked, now + 1) == { allowance = 0; expires_at = null };
  assert Ledger.transferFrom(ledger, bob, pull, now + 1) == #Err(#InsufficientAllowance { allowance = 0 });
  assert Ledger.transferFrom(ledger, bob, pull, now) == #Ok 2;
};

// transfer_from: allowance for amount and fee, looked at before the balance; what is left, is left.
do {
  let ledger = fresh();
  assert Ledger.transferFrom(ledger, bob, pull, now) == #Err(#InsufficientAllowance { allowance = 0 });
  assert Ledger.approve(ledger, alice, { approval with amount = 109 }, now) == #Ok 1;
  assert Ledger.transferFrom(ledger, bob, pull, now) == #Err(#InsufficientAllowance { allowance = 109 });
  assert Ledger.approve(ledger, alice, { approval with amount = 5_000 }, now) == #Ok 2;
  assert Ledger.transferFrom(ledger, bob, { pull with amount = 971 }, now) == poor(980);
  assert Ledger.transferFrom(ledger, bob, { pull with amount = 970 }, now) == #Ok 3;
  assert Ledger.balance(ledger, of(bob)) == 970 and Ledger.balance(ledger, of(alice)) == 0;
  assert Ledger.allowance(ledger, { account = of(alice); spender = of(bob) }, now).allowance == 4_020;
};

// The spender is caller and spender_subaccount: each has an allowance of its own.
do {
  let ledger = fresh();
  let spender = { owner = bob; subaccount = ?sub(7) };
  assert Ledger.approve(ledger, alice, { approval with spender }, now) == #Ok 1;
  assert Ledger.transferFrom(ledger, bob, pull, now) == #Err(#InsufficientAllowance { allowance = 0 });
  assert Ledger.transferFrom(ledger, bob, { pull with spender_subaccount = ?sub(7) }, now) == #Ok 2;
  assert Map.size(ledger.allowances) == 0; // used up
};

// Who moves what is their own needs no allowance, and uses none.
do {
  let ledger = fresh();
  assert Ledger.transferFrom(ledger, alice, pull, now) == #Ok 1;
  assert Ledger.balance(ledger, of(bob)) == 100;
};

// transfer_from twice is once too; it burns too, without a fee.
do {
  let ledger = fresh();
  assert Ledger.approve(ledger, alice, { approval with amount = 1_000 }, now) == #Ok 1;
  let args = { pull with created_at_time = ?now };
  assert Ledger.transferFrom(ledger, bob, args, now) == #Ok 2;
  assert Ledger.transferFrom(ledger, bob, args, now) == again(2);
  assert Ledger.transferFrom(ledger, bob, { pull with to = of(minter) }, now) == #Ok 3;
  assert Ledger.allowance(ledger, { account = of(alice); spender = of(bob) }, now).allowance == 790;
  assert ledger.supply == 880;
};

// A transfer and a transfer_from are never duplicates of each other.
do {
  let ledger = fresh();
  assert Ledger.transfer(ledger, alice, { plain with created_at_time = ?now }, now) == #Ok 1;
  assert Ledger.transferFrom(ledger, alice, { pull with created_at_time = ?now }, now) == #Ok 2;
};

// Blocks tell what happened.
do {
  let ledger = fresh();
  assert Ledger.approve(ledger, alice, approval, now) == #Ok 1;
  assert Ledger.transferFrom(ledger, bob, { pull with memo = ?("why" : Blob) }, now + 5) == #Ok 2;
  assert List.at(ledger.blocks, 2) == {
    index = 2;
    timestamp = now + 5;
    operation = #Transfer;
    from = of(alice);
    to = of(bob);
    spender = ?of(bob);
    amount = 100;
    fee = 10;
    memo = ?("why" : Blob);
    created_at_time = null;
  };
  assert List.at(ledger.blocks, 1).operation == #Approve;
};
