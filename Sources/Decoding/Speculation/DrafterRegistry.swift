/// A kind of drafter: what is known of it before one is made, and how one is made.
///
/// The project's own are in `DrafterRegistry`. One of your own goes into
/// `GenerationOptions.customDrafter`.
public struct DrafterKind: Sendable, Equatable {
  /// Name, as `--speculate` takes it.
  public let name: String
  /// Nodes of a step where neither planner nor `maximumDraft` say another number: the paper's
  /// setting.
  public let defaultNodes: Int
  /// True if it can keep what it learns in a file (`GenerationOptions.draftMemory`).
  public let keepsMemory: Bool
  /// True if it can tell its probabilities (`DistributionSource`), so that trees can be grown from
  /// them.
  public let givesDistributions: Bool
  /// Makes a drafter for one generation, on the engine's thread.
  public let make: @Sendable (DrafterSetup) throws -> any Drafter

  /// A kind of drafter.
  public init(
    name: String, defaultNodes: Int, keepsMemory: Bool = false, givesDistributions: Bool = false,
    make: @escaping @Sendable (DrafterSetup) throws -> any Drafter
  ) {
    self.name = name
    self.defaultNodes = defaultNodes
    self.keepsMemory = keepsMemory
    self.givesDistributions = givesDistributions
    self.make = make
  }

  /// Kinds are the same if they have the same name and size.
  public static func == (left: Self, right: Self) -> Bool {
    left.name == right.name && left.defaultNodes == right.defaultNodes
  }
}

/// Drafters by the name that `--speculate` takes.
public enum DrafterRegistry {
  /// True if the drafter of this name needs a file of trained heads.
  public static func needsHeads(_ name: String) -> Bool { name == "medusa" || name == "hydra" }

  /// The drafter of this name; nil if there is none.
  public static func kind(_ name: String) -> DrafterKind? {
    switch name {
    case "auto": .auto
    case "draft-model":
      DrafterKind(
        name: name, defaultNodes: DraftModelDrafter.paperLength, givesDistributions: true
      ) { try DraftModelDrafter($0) }
    case "copy": .copy()
    case "input": .input()
    case "recycling": .recycling()
    case "aded": .aded()
    case "jacobi": .jacobi()
    case "stand": .stand()
    case "medusa", "hydra": .heads(name)
    default: nil
    }
  }
}
