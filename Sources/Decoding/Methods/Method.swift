/// What a method promises about its output, beside plain decoding with the same seed.
public enum MethodGuarantee: String, Sendable, Codable, CaseIterable {
  /// The same tokens, greedy and sampled.
  case bitwise
  /// The same tokens when greedy; samples of the same distribution otherwise.
  case distribution
  /// Another output on purpose, or within bounds that the method's guide names.
  case approximate
  /// No output of its own: it measures, trains or makes data.
  case analysis
}

extension MethodGuarantee: Comparable {
  /// Weaker guarantees come first.
  public static func < (left: Self, right: Self) -> Bool { left.strength < right.strength }

  private var strength: Int {
    switch self {
    case .analysis: 0
    case .approximate: 1
    case .distribution: 2
    case .bitwise: 3
    }
  }
}

/// Whether a method can be used.
public enum MethodStatus: String, Sendable, Codable {
  /// It runs, has a proof test and a benchmark row.
  case available
  /// It is in the catalogue only, and cannot be selected.
  case planned
}

/// Part of the project that a method belongs to.
public enum MethodArea: String, Sendable, Codable {
  case drafters, trees, verifiers, heads, search, constraints, transformers, learning, context
  case diffusion, vision, speech, pipelines, interpretability
  case selfSpeculation = "self-speculation"
  case sequenceToSequence = "sequence to sequence"
  case plain
}

/// The paper that a method comes from.
public struct Paper: Sendable, Equatable, Codable {
  /// Full title.
  public let title: String
  /// Identifier in the arXiv, such as 2408.08696.
  public let arxiv: String

  /// Page of the paper.
  public var url: String { "https://arxiv.org/abs/\(arxiv)" }
}

/// The command line option that selects a method.
public struct MethodSelector: Sendable, Equatable, Codable {
  /// Long option, dashes included.
  public let option: String
  /// Values that select the method.
  public let values: [String]
}

/// One system of the catalogue.
public struct Method: Sendable, Equatable, Codable {
  /// Number in the catalogue, from 1; nil for plain decoding.
  public let number: Int?
  /// Short name.
  public let name: String
  /// Stable identifier: the name of the method's card.
  public let card: String
  /// Part of the project it belongs to.
  public let area: MethodArea
  /// Where it comes from; nil for plain decoding.
  public let paper: Paper?
  /// What it does, in a sentence.
  public let summary: String
  /// What it promises.
  public let guarantee: MethodGuarantee
  /// Whether it can be used.
  public let status: MethodStatus
  /// The option that selects it; nil if it has a command of its own.
  public let selector: MethodSelector?
  /// A command that runs it.
  public let example: String

  init(
    number: Int?, name: String, card: String, area: MethodArea, paper: Paper?, summary: String,
    guarantee: MethodGuarantee, status: MethodStatus, selector: MethodSelector? = nil,
    example: String
  ) {
    self.number = number
    self.name = name
    self.card = card
    self.area = area
    self.paper = paper
    self.summary = summary
    self.guarantee = guarantee
    self.status = status
    self.selector = selector
    self.example = example
  }
}
