import Error "mo:core/Error";

/// A friend of `diary`, and no version of it: `entries` is of another type here.
persistent actor {
  var entries : Nat = 0;
  public func bump() : async Nat { entries += 1; entries };
  public func fail() : async () { throw Error.reject("no way") };
};
