/// The least that a marketplace on chain has to do to get swaps made: tell the swap canister, and look for the answer.
/// swapd reads the request from the swap canister's certified log, so there is no web server in between.
import Blob "mo:core/Blob";
import Error "mo:core/Error";
import Map "mo:core/Map";
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";
import Types "Types";

persistent actor class Marketplace(init : { owner : Principal; swaps : Principal }) = self {
  type Request = Types.Request;

  /// `Err` in the swap canister's own words; `Unreachable` if there was no answer: whether the request arrived is found
  /// out by asking again.
  type Result = { #Ok : Request; #Err : Types.Error; #Unreachable : Text };

  let owner = init.owner;
  let swaps = actor (init.swaps.toText()) : Types.Swaps;
  let kept = Map.empty<Blob, Request>();

  /// Asks for a swap. The same request again is the same swap; another one under the same id is refused.
  public shared ({ caller }) func sell(args : { request_id : Blob; request : Types.SwapRequest }) : async Result {
    if (caller != owner) Runtime.trap("only the owner sells");
    switch (Map.get(kept, Blob.compare, args.request_id)) {
      case (?request) if (request.request == args.request) return #Ok request;
      case null {};
    };
    try {
      let result = await swaps.requestSwap(args);
      switch result { case (#Ok request) keep(request); case (#Err _) {} };
      result;
    } catch (error) #Unreachable(error.message());
  };

  /// What has become of a request. Anybody may ask, and pays nothing for it.
  public func answer(request_id : Blob) : async { #Ok : ?Request; #Unreachable : Text } {
    try {
      let found = await swaps.getRequest({ marketplace = Principal.fromActor(self); request_id });
      switch found { case (?request) keep(request); case null {} };
      #Ok found;
    } catch (error) #Unreachable(error.message());
  };

  /// What was last heard of a request.
  public query func heard(request_id : Blob) : async ?Request {
    Map.get(kept, Blob.compare, request_id);
  };

  /// An answer is final: what comes late does not take it back.
  func keep(request : Request) {
    switch (Map.get(kept, Blob.compare, request.request_id)) {
      case (?known) if (known.answer != null and request.answer == null) return;
      case null {};
    };
    Map.add(kept, Blob.compare, request.request_id, request);
  };
};
