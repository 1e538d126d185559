/// Errors in a line.
import Nat "mo:core/Nat";
import Types "Types";

module {
  type Error = Types.Error;

  public func request(kind : Types.RequestError, message : Text) : Error = { kind = #RequestError(?kind); message = ?message };

  public func invalid(message : Text) : Error = request(#InvalidArgument, message);

  public func temporary(kind : Types.TemporaryError, message : Text) : Error = { kind = #TemporaryError(?kind); message = ?message };

  public func busy() : Error = temporary(#Busy, "a ledger call of this swap is under way");

  public func anonymous() : Error = request(#NotAuthorized, "the anonymous principal moves no money");

  public func noSwap() : Error = request(#NotFound, "there is no swap of this id");
};
