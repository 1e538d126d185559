/// What marketplaces asked for, and what a coordinator answered. Kept in stable memory; only its index is on the heap.
import Blob "mo:core/Blob";
import Map "mo:core/Map";
import Nat64 "mo:core/Nat64";
import Principal "mo:core/Principal";
import Runtime "mo:core/Runtime";
import Cells "Cells";
import Encoding "Encoding";
import Errors "Errors";
import Types "Types";

module {
  type Request = Types.Request;

  public type State = { cells : Cells.State; places : Map.Map<Blob, Nat64> };

  /// What is to be done with a request or an answer. #Old: it is there already, just so. #New: it is to be stored and logged.
  public type Found = { #Old : Request; #New : Request; #Wrong : Types.Error };

  public func new() : State = { cells = Cells.new(); places = Map.empty<Blob, Nat64>() };

  public func get(self : State, of : Types.RequestKey) : ?Request {
    let ?place = Map.get(self.places, Blob.compare, key(of)) else return null;
    let request : ?Request = from_candid (Cells.read(self.cells, place));
    switch request { case null Runtime.trap("a request cannot be read"); case some some };
  };

  public func put(self : State, request : Request) {
    Map.add(self.places, Blob.compare, key(request), Cells.append(self.cells, to_candid (request)));
  };

  /// A request that comes in: one of the same id must be the same.
  public func ask(self : State, of : Types.RequestKey, request : Types.SwapRequest, now : Nat64) : Found {
    switch (get(self, of)) {
      case null #New({ of with request; requested_at = now; answer = null });
      case (?old) if (old.request == request) #Old old else #Wrong(Errors.request(#NonceReused, "this request_id stands for another request"));
    };
  };

  /// An answer that comes in: a second one must be the same.
  public func answer(self : State, of : Types.RequestKey, given : Types.RequestAnswer) : Found {
    let ?request = get(self, of) else return #Wrong(Errors.request(#NotFound, "there is no such request"));
    switch (request.answer) {
      case null #New({ request with answer = ?given });
      case (?old) if (old == given) #Old request else #Wrong(Errors.request(#AlreadyAnswered, "the request has another answer"));
    };
  };

  func key({ marketplace; request_id } : Types.RequestKey) : Blob {
    Encoding.concat([Encoding.sized(marketplace.toBlob()), request_id]);
  };
};
