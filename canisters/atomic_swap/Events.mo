/// The events of the log, in the words of ICRC-3. Principals and bytes are Blob, numbers Nat, times Nat in nanoseconds.
import Array "mo:core/Array";
import Iter "mo:core/Iter";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Text "mo:core/Text";
import Log "Log";
import Types "Types";
import Value "Value";

module {
  type Value = Types.Value;
  type Swap = Types.Swap;

  /// What swap events have in their block type, for `icrc3_supported_block_types`.
  public let blockTypes = [
    "swap_funding",
    "swap_locked",
    "swap_cancelled",
    "swap_claiming",
    "swap_claimed",
    "swap_refunding",
    "swap_refunded",
    "swap_quarantined",
    "swap_resolved",
    "swap_requested",
    "swap_acknowledged",
    "excess_returned",
    "admin",
  ];

  /// The funds are about to be pulled: all the terms, and what the caller wants to find beside them.
  public func funding({ id; initiator; args } : Swap, note : ?Blob) : Log.Event {
    event(
      "swap_funding",
      [
        ("id", ?#Blob id),
        ("initiator", ?Value.principal(initiator)),
        ("nonce", ?#Blob(args.nonce)),
        ("ledger", ?Value.principal(args.ledger)),
        ("amount", ?#Nat(args.amount)),
        ("fee", ?#Nat(args.fee)),
        ("from_subaccount", Value.blob(args.from_subaccount)),
        ("recipient", ?Value.account(args.recipient)),
        ("refund_to", ?Value.account(args.refund_to)),
        ("hashlock", ?#Blob(args.hashlock)),
        ("fund_by", ?time(args.fund_by)),
        ("deadline", ?time(args.deadline)),
        ("note", Value.blob(note)),
      ],
    );
  };

  public func locked({ id } : Swap, block : ?Nat) : Log.Event = event("swap_locked", [("id", ?#Blob id), ("ledger_block", Value.nat(block))]);

  public func cancelled({ id } : Swap, reason : Text) : Log.Event = event("swap_cancelled", [("id", ?#Blob id), ("reason", ?#Text(cut(reason)))]);

  /// The secret is public from here on.
  public func claiming({ id } : Swap, secret : Blob, by : Principal) : Log.Event {
    event("swap_claiming", [("id", ?#Blob id), ("secret", ?#Blob secret), ("by", ?Value.principal(by))]);
  };

  /// `why`: "due", "consent" of the recipient, or "late" when the funds came after `fund_by`.
  public func refunding({ id } : Swap, by : Principal, why : Text) : Log.Event {
    event("swap_refunding", [("id", ?#Blob id), ("by", ?Value.principal(by)), ("why", ?#Text why)]);
  };

  /// A payout is done.
  public func paid({ id; phase } : Swap, block : ?Nat) : Log.Event {
    event(if (phase == #Claimed) "swap_claimed" else "swap_refunded", [("id", ?#Blob id), ("ledger_block", Value.nat(block))]);
  };

  public func quarantined({ id } : Swap, intent : Types.Intent, reason : Text) : Log.Event {
    event("swap_quarantined", [("id", ?#Blob id), ("intent", ?#Text(intentName(intent))), ("reason", ?#Text reason)]);
  };

  /// The arbiter's word, which the balance bore out; `phase` is the one it led to.
  public func resolved({ id; phase } : Swap, by : Principal, block : ?Nat) : Log.Event {
    event("swap_resolved", [("id", ?#Blob id), ("by", ?Value.principal(by)), ("phase", ?#Text(phaseName(phase))), ("ledger_block", Value.nat(block))]);
  };

  public func excessReturned(id : Blob, ledger : Principal, to : Types.Account, amount : Nat, block : Nat) : Log.Event {
    event("excess_returned", [("id", ?#Blob id), ("ledger", ?Value.principal(ledger)), ("to", ?Value.account(to)), ("amount", ?#Nat amount), ("ledger_block", ?#Nat block)]);
  };

  /// Entry was stopped or let on again, with one ledger or all of it.
  public func halted(by : Principal, ledger : ?Principal, on : Bool) : Log.Event {
    let which = switch ledger { case (?one) ?Value.principal(one); case null null };
    admin("set_halted", by, Value.present([("ledger", which), ("halted", ?Value.flag(on))]));
  };

  /// What an operator did, or the system: `op` and whatever belongs to it.
  public func admin(op : Text, by : Principal, more : [(Text, Value)]) : Log.Event {
    { btype = "admin"; tx = Array.concat<(Text, Value)>([("op", #Text op), ("by", Value.principal(by))], more) };
  };

  public func requested({ marketplace; request_id; request } : Types.Request) : Log.Event {
    let terms : Value = #Map([
      ("give", #Text(request.give)),
      ("give_amount", #Nat(request.give_amount)),
      ("get", #Text(request.get)),
      ("get_amount", #Nat(request.get_amount)),
      ("initiator", side(request.initiator)),
      ("participant", side(request.participant)),
    ]);
    event("swap_requested", [("marketplace", ?Value.principal(marketplace)), ("request_id", ?#Blob request_id), ("request", ?terms)]);
  };

  public func acknowledged({ marketplace; request_id } : Types.Request, by : Principal, given : Types.RequestAnswer) : Log.Event {
    event("swap_acknowledged", [("marketplace", ?Value.principal(marketplace)), ("request_id", ?#Blob request_id), ("by", ?Value.principal(by)), ("answer", ?answer(given))]);
  };

  /// The configuration, as it is logged with every change of it.
  public func config(of : Types.Config) : [(Text, Value)] {
    let principals = func(list : [Principal]) : Value = #Array(Array.map<Principal, Value>(list, Value.principal));
    [
      ("arbiter", Value.principal(of.arbiter)),
      ("ledgers", principals(of.ledgers)),
      ("min_timelock", time(of.min_timelock)),
      ("max_timelock", time(of.max_timelock)),
      ("marketplaces", principals(of.marketplaces)),
      ("coordinators", principals(of.coordinators)),
      ("open_swaps_per_caller", #Nat(of.limits.open_swaps_per_caller)),
      ("initiates_per_minute", #Nat(of.limits.initiates_per_minute)),
      ("requests_per_minute", #Nat(of.limits.requests_per_minute)),
      ("min_cycles", #Nat(of.min_cycles)),
      ("sweep_seconds", time(of.sweep_seconds)),
    ];
  };

  func side(of : Types.Side) : Value {
    switch of {
      case (#Hot) #Map([("kind", #Text "hot")]);
      case (#External { refund_to; receive_at; claims_itself }) {
        #Map([
          ("kind", #Text "external"),
          ("refund_to", #Text refund_to),
          ("receive_at", #Text receive_at),
          ("claims_itself", Value.flag(claims_itself)),
        ]);
      };
    };
  };

  func answer(given : Types.RequestAnswer) : Value {
    switch given {
      case (#Refused { field; reason }) #Map([("kind", #Text "refused"), ("field", #Text field), ("reason", #Text reason)]);
      case (#Accepted { swap_id; hashlock; legs }) {
        #Map([
          ("kind", #Text "accepted"),
          ("swap_id", #Text swap_id),
          ("hashlock", #Blob hashlock),
          ("legs", #Array(Array.map<Types.AnsweredLeg, Value>(legs, leg))),
        ]);
      };
    };
  };

  func leg(of : Types.AnsweredLeg) : Value {
    #Map([
      ("role", #Text(of.role)),
      ("chain", #Text(of.chain)),
      ("asset", #Text(of.asset)),
      ("amount", #Nat(of.amount)),
      ("sender", #Text(of.sender)),
      ("receiver", #Text(of.receiver)),
      ("timelock", time(of.timelock)),
      ("fund_by", time(of.fund_by)),
      ("reference", #Text(of.reference)),
    ]);
  };

  /// What a ledger says may be of any length.
  func cut(reason : Text) : Text = Text.fromIter(Iter.take(reason.chars(), 256));

  func event(btype : Text, fields : [(Text, ?Value)]) : Log.Event = { btype; tx = Value.present(fields) };

  func time(of : Nat64) : Value = #Nat(of.toNat());

  func intentName(intent : Types.Intent) : Text {
    switch intent { case (#Funding) "Funding"; case (#Claiming) "Claiming"; case (#Refunding) "Refunding" };
  };

  func phaseName(phase : Types.Phase) : Text {
    switch phase {
      case (#Funding) "Funding";
      case (#Locked) "Locked";
      case (#Claiming) "Claiming";
      case (#Refunding) "Refunding";
      case (#Claimed) "Claimed";
      case (#Refunded) "Refunded";
      case (#Cancelled) "Cancelled";
      case (#Quarantined _) "Quarantined";
    };
  };
};
