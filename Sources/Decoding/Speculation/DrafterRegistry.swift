/// Drafters by the name that `--speculate` takes.
public enum DrafterRegistry {
  /// Makes a drafter for one generation.
  public typealias Maker = (DrafterSetup) throws -> any Drafter

  /// What is known of a drafter before one is made.
  public struct Entry {
    /// Nodes of a step where neither planner nor `maximumDraft` say another number: the paper's
    /// setting.
    public let defaultNodes: Int
    /// Makes one.
    public let make: Maker

    /// An entry.
    public init(defaultNodes: Int, make: @escaping Maker) {
      self.defaultNodes = defaultNodes
      self.make = make
    }
  }

  /// The entry of this name; nil if there is none.
  public static func entry(_ name: String) -> Entry? {
    switch name {
    case "copy": Entry(defaultNodes: CopyDrafter.paperLength) { CopyDrafter($0) }
    default: nil
    }
  }
}
