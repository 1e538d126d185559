/// Hash-time-locked escrow of ICRC-2 tokens: the Internet Computer's leg of an atomic swap.
///
/// `initiateSwap` pulls tokens into a subaccount of their own; the secret sends them to the recipient, who was fixed then; from the deadline on anyone
/// can send them back. All that happens is in an ICRC-3 log, its tip and every swap are certified. `docs/` says how it is run and what can go wrong.
import Array "mo:core/Array";
import Blob "mo:core/Blob";
import CertifiedData "mo:core/CertifiedData";
import Cycles "mo:core/Cycles";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";
import Set "mo:core/Set";
import Timer "mo:core/Timer";
import Prim "mo:⛔";
import Access "Access";
import Book "Book";
import Certification "Certification";
import Entry "Entry";
import Errors "Errors";
import Escrow "Escrow";
import Events "Events";
import Excess "Excess";
import Log "Log";
import Requests "Requests";
import Settlement "Settlement";
import Swaps "Swaps";
import Sweep "Sweep";
import Terms "Terms";
import Types "Types";

/// `init` is the configuration at installation; an upgrade keeps what `configure` made of it and ignores `init`.
persistent actor class AtomicSwap(init : Types.Config) = this {
  let book = Book.new();
  let entry = Entry.new(init);
  let requests = Requests.new();

  /// What regions hold, in Candid. Nobody looks at it: it brings these types into the stable signature, so that an upgrade which could not read
  /// the stored records any more is found when it is built (`build.js --check`).
  let _inRegions : ?{ record : Escrow.Record; request : Types.Request; block : Types.Value } = null;

  transient let self = Principal.fromActor(this);
  transient let context : Settlement.Context = { self; book; busy = Set.empty<Blob>() };
  transient let sweeps = Sweep.new();
  transient var timer = 0;

  // -- swaps

  /// Pulls `amount` and `fee` from the caller's account, who has approved spender `{this canister; subaccount = swapId}` for them and one fee more.
  /// The same nonce with the same terms is the same swap: its funding is taken up again if that is open, else it is answered as it is.
  /// `note`, at most 64 bytes, is the caller's own and stands in the log beside the terms, nowhere else: in the event of the call that began it.
  public shared ({ caller }) func initiateSwap(args : Types.InitiateArgs, note : ?Blob) : async Types.Result {
    await* Swaps.initiate(context, entry, caller, args, note);
  };

  /// Pays the recipient against the secret of 32 bytes. Anyone may do it, until the swap is refunded.
  public shared ({ caller }) func completeSwap({ id; secret } : { id : Types.SwapId; secret : Blob }) : async Types.Result {
    await* Swaps.complete(context, caller, id, secret);
  };

  /// Pays back to `refund_to`. Anyone may do it from the deadline on, and the recipient's owner at any time.
  public shared ({ caller }) func refundSwap(id : Types.SwapId) : async Types.Result {
    await* Swaps.refund(context, caller, id);
  };

  /// Takes up a transfer that is journaled and had no answer. Anyone may do it.
  public shared ({ caller }) func resumeSwap(id : Types.SwapId) : async Types.Result {
    await* Swaps.resume(context, caller, id);
  };

  /// Ends a quarantine by the arbiter's word on whether the transfer was done, and in which block, if the escrow's balance bears it out.
  public shared ({ caller }) func resolveQuarantined({ id; paid_in_block } : { id : Types.SwapId; paid_in_block : ?Nat }) : async Types.Result {
    if (not Access.isArbiter(entry.config, caller)) return #Err(notAuthorized());
    await* Swaps.resolve(context, caller, id, paid_in_block);
  };

  /// Returns to the initiator what lies in the escrow account of a swap that is over, or never was, and says in which block of the ledger.
  public shared ({ caller }) func returnExcess({ nonce; ledger; to_subaccount } : { nonce : Blob; ledger : Principal; to_subaccount : ?Blob }) : async Types.Answer<Nat> {
    if (caller.isAnonymous()) return #Err(Errors.anonymous());
    if (nonce.size() != 32) return #Err(Errors.invalid("nonce: 32 bytes"));
    if (not Terms.isSubaccount(to_subaccount)) return #Err(Errors.invalid("to_subaccount: 32 bytes or null"));
    let id = Terms.swapId(self, caller, nonce);
    if (not Access.isLedger(entry.config, ledger) and not isOwnLedger(id, ledger)) return #Err(Errors.request(#LedgerNotAllowed, "ledger: not one of those allowed"));
    switch (Excess.refusal(context, id)) { case (?error) return #Err error; case null {} };
    switch (Entry.excess(entry, caller, Settlement.now())) { case (?error) return #Err error; case null {} };
    await* Excess.giveBack(context, id, ledger, { owner = caller; subaccount = to_subaccount });
  };

  /// The swap, its certificate and the witness that this is the swap, or that there is none. Other canisters' calls get no certificate.
  public query func getSwap(id : Types.SwapId) : async { swap : ?Types.Swap; certificate : ?Blob; witness : Blob } {
    if (id.size() != 32) Runtime.trap("id: 32 bytes");
    let { swap; witness } = Book.show(book, id);
    { swap; certificate = CertifiedData.getCertificate(); witness };
  };

  /// The id that a swap of this initiator and nonce has, or would have.
  public query func swapId({ initiator; nonce } : { initiator : Principal; nonce : Blob }) : async Types.SwapId {
    Terms.swapId(self, initiator, nonce);
  };

  /// Swaps in the order of their ids, from `start` on, at most 100. A page may be short, even empty, and still have a `next`.
  public query func listSwaps({ start; limit; filter } : { start : ?Types.SwapId; limit : Nat; filter : Types.Filter }) : async { swaps : [Types.Swap]; next : ?Types.SwapId } {
    let from : Blob = switch start { case (?id) if (id.size() == 32) id else Runtime.trap("start: 32 bytes"); case null first };
    Book.list(book, from, Nat.min(limit, maxPage), maxScan, func(swap) = fits(filter, swap));
  };

  // -- marketplaces

  /// A marketplace asks for a swap. The same id with the same content is the same request.
  public shared ({ caller }) func requestSwap({ request_id; request } : { request_id : Blob; request : Types.SwapRequest }) : async Types.Answer<Types.Request> {
    if (not Access.isMarketplace(entry.config, caller)) return #Err(notAuthorized());
    switch (Terms.request(request_id, request)) { case (?wrong) return #Err(Errors.invalid(wrong)); case null {} };
    let now = Settlement.now();
    switch (Requests.ask(requests, { marketplace = caller; request_id }, request, now)) {
      case (#Wrong error) #Err error;
      case (#Old old) #Ok old;
      case (#New new) {
        switch (Entry.request(entry, caller, now)) { case (?error) return #Err error; case null {} };
        Book.reserve(book, 1);
        Requests.put(requests, new);
        Book.tell(book, Events.requested(new), now);
        #Ok new;
      };
    };
  };

  /// A coordinator answers a request, once.
  public shared ({ caller }) func acknowledgeSwap({ marketplace; request_id; answer } : { marketplace : Principal; request_id : Blob; answer : Types.RequestAnswer }) : async Types.Answer<Types.Request> {
    if (not Access.isCoordinator(entry.config, caller)) return #Err(notAuthorized());
    switch (Terms.answer(answer)) { case (?wrong) return #Err(Errors.invalid(wrong)); case null {} };
    switch (Requests.answer(requests, { marketplace; request_id }, answer)) {
      case (#Wrong error) #Err error;
      case (#Old old) #Ok old;
      case (#New new) {
        Requests.put(requests, new);
        Book.tell(book, Events.acknowledged(new, caller, answer), Settlement.now());
        #Ok new;
      };
    };
  };

  /// A request and its answer.
  public query func getRequest(key : Types.RequestKey) : async ?Types.Request = async Requests.get(requests, key);

  // -- running it

  /// Stops new swaps and requests, on one ledger or on all, or lets them on again. What is under way goes on.
  public shared ({ caller }) func setHalted({ ledger; halted } : { ledger : ?Principal; halted : Bool }) : async Types.Done {
    if (not Access.isOperator(entry.config, caller)) return #Err(notAuthorized());
    Entry.setHalted(entry, ledger, halted);
    Book.tell(book, Events.halted(caller, ledger, halted), Settlement.now());
    #Ok;
  };

  /// Replaces the configuration. Swaps that are under way keep their terms, also if their ledger is no longer allowed.
  public shared ({ caller }) func configure(config : Types.Config) : async Types.Done {
    if (not caller.isController()) return #Err(notAuthorized());
    switch (Terms.config(config, self)) { case (?wrong) return #Err(Errors.invalid(wrong)); case null {} };
    entry.config := config;
    Book.tell(book, Events.admin("configure", caller, Events.config(config)), Settlement.now());
    arm<system>();
    #Ok;
  };

  /// How the canister is. For controllers and the arbiter.
  public shared query ({ caller }) func health() : async Types.Answer<Types.Health> {
    if (not Access.isOperator(entry.config, caller)) return #Err(notAuthorized());
    #Ok {
      cycles = Cycles.balance();
      memory_bytes = Prim.rts_memory_size() + Prim.rts_stable_memory_size() * 65_536;
      heap_bytes = Prim.rts_heap_size();
      log_length = book.log.length;
      swaps = book.store.count;
      open_swaps = book.open;
      quarantined = book.quarantined;
      halted = entry.halted;
      halted_ledgers = Set.toArray(entry.haltedLedgers);
      low_cycles = Entry.isLow(entry);
      last_sweep = sweeps.last;
      config = entry.config;
    };
  };

  // -- ICRC-3, ICRC-10

  /// Blocks of the log, at most 100 and about 1 MB of them.
  public query func icrc3_get_blocks(ranges : Types.Ranges) : async Types.Blocks {
    { log_length = book.log.length; blocks = Log.read(book.log, ranges); archived_blocks = [] };
  };

  /// Hash and index of the newest block, certified.
  public query func icrc3_get_tip_certificate() : async ?{ certificate : Blob; hash_tree : Blob } {
    let ?certificate = CertifiedData.getCertificate() else return null;
    ?{ certificate; hash_tree = Certification.tipWitness(book.tree, Book.tip(book)) };
  };

  /// None: the log is all here.
  public query func icrc3_get_archives(_ : { from : ?Principal }) : async [{ canister_id : Principal; start : Nat; end : Nat }] { [] };

  /// What blocks there are.
  public query func icrc3_supported_block_types() : async [{ block_type : Text; url : Text }] {
    Array.map<Text, { block_type : Text; url : Text }>(Events.blockTypes, func block_type = { block_type; url = "" });
  };

  /// Which standards this canister keeps.
  public query func icrc10_supported_standards() : async [{ name : Text; url : Text }] {
    [
      { name = "ICRC-3"; url = "https://github.com/dfinity/ICRC-1/tree/main/standards/ICRC-3" },
      { name = "ICRC-10"; url = "https://github.com/dfinity/ICRC/blob/main/ICRCs/ICRC-10/ICRC-10.md" },
    ];
  };

  /// Saves the cycles of messages that would be refused anyway. One node decides here, so it protects nothing. What is refused for a reason of its
  /// own is let through: its caller is told by a typed error.
  system func inspect({ caller : Principal; arg : Blob }) : Bool = not caller.isAnonymous() and arg.size() <= maxMessage;

  // -- in private

  transient let first : Blob = "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00"; // of all ids
  transient let maxPage = 100; // swaps in one answer
  transient let maxScan = 1_000; // swaps looked at for one answer
  transient let maxMessage = 32_000; // bytes; the largest answer of a coordinator has 25,000

  func sweep() : async () {
    for (id in Sweep.due(sweeps, context, Settlement.now()).vals()) ignore sweepOne(id);
  };

  func sweepOne(id : Blob) : async () {
    let { ledger } = Book.the(book, id).swap.args;
    Sweep.begun(sweeps, ledger);
    try { await* Swaps.sweep(context, id) } finally { Sweep.ended(sweeps, ledger) };
  };

  func arm<system>() {
    Timer.cancelTimer(timer);
    timer := Timer.recurringTimer<system>(#seconds(Nat64.toNat(entry.config.sweep_seconds)), sweep);
  };

  func isOwnLedger(id : Blob, ledger : Principal) : Bool {
    switch (Book.get(book, id)) { case (?{ swap }) swap.args.ledger == ledger; case null false };
  };

  func fits({ party; phases } : Types.Filter, { initiator; args; phase } : Types.Swap) : Bool {
    let right = switch party {
      case (?who) who == initiator or who == args.recipient.owner or who == args.refund_to.owner;
      case null true;
    };
    right and (switch phases { case (?some) Array.indexOf<Types.Phase>(some, func(a, b) = a == b, phase) != null; case null true });
  };

  func notAuthorized() : Types.Error = Errors.request(#NotAuthorized, "the caller may not do this");

  // -- at installation and after each upgrade: timers and certified data are gone then

  switch (Terms.config(entry.config, self)) { case (?wrong) Runtime.trap("configuration: " # wrong); case null {} };
  Book.tell(book, Events.admin(if (book.log.length == 0) "install" else "upgrade", self, Events.config(entry.config)), Settlement.now());
  arm<system>();
};
