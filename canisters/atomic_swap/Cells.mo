/// Blobs one behind the other in stable memory: written once, read by their place. They cost the garbage collector nothing.
import Blob "mo:core/Blob";
import Nat32 "mo:core/Nat32";
import Nat64 "mo:core/Nat64";
import Region "mo:core/Region";
import Runtime "mo:core/Runtime";

module {
  public type State = { region : Region.Region; var end : Nat64 };

  let lengthSize : Nat64 = 4;
  let pageSize : Nat64 = 65_536;

  public func new() : State = { region = Region.new(); var end = 0 };

  /// Writes a blob and returns its place.
  public func append(self : State, bytes : Blob) : Nat64 {
    let place = self.end;
    let size = Nat64.fromNat(bytes.size());
    reserve(self, lengthSize + size);
    Region.storeNat32(self.region, place, Nat32.fromNat(bytes.size()));
    Region.storeBlob(self.region, place + lengthSize, bytes);
    self.end += lengthSize + size;
    place;
  };

  /// The blob at a place that `append` returned.
  public func read(self : State, place : Nat64) : Blob {
    Region.loadBlob(self.region, place + lengthSize, Nat32.toNat(Region.loadNat32(self.region, place)));
  };

  /// Makes sure that `more` bytes can be appended without asking the system for memory.
  public func reserve(self : State, more : Nat64) = grow(self.region, self.end + more);

  /// Makes a region at least `size` bytes long. Traps if there is no memory left.
  public func grow(region : Region.Region, size : Nat64) {
    let have = Region.size(region);
    let want = (size + pageSize - 1) / pageSize;
    if (want <= have) return;
    if (Region.grow(region, want - have) == Nat64.maxValue) Runtime.trap("out of stable memory");
  };
};
