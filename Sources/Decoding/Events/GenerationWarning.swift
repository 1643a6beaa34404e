/// Something that went wrong and did not end the generation.
public struct GenerationWarning: Sendable, Equatable, Codable {
  /// What the drafter was doing when it failed.
  public enum Stage: String, Sendable, Codable {
    case begin, propose, observe, end
  }

  /// Name of the drafter that failed. Nothing is asked of it for the rest of the generation.
  public let drafter: String
  /// When it failed.
  public let stage: Stage
  /// What it said.
  public let reason: String

  /// A drafter's failure.
  public init(drafter: String, stage: Stage, reason: String) {
    self.drafter = drafter
    self.stage = stage
    self.reason = reason
  }

  /// For people: what happened and what it means.
  public var message: String {
    switch stage {
    case .begin, .propose, .observe:
      "\(drafter) drafts no more in this generation, the text does not depend on it: \(reason)"
    case .end: "what \(drafter) learnt could not be kept: \(reason)"
    }
  }
}
