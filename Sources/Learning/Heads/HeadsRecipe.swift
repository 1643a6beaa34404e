import Autograd
import Foundation

/// How draft heads are trained.
public struct HeadsRecipe: Sendable, Equatable {
  /// What a head's guess is compared with.
  public enum Target: String, Sendable, CaseIterable {
    /// The token that the model wrote.
    case token
    /// The model's whole distribution there: the teacher loss of Hydra++.
    case teacher
  }

  /// Number of heads: the longest draft.
  public var heads = 3
  /// Size of their hidden layers, a multiple of 32.
  public var rank = 256
  /// Tokens that heads can draft: the most frequent ones of the model's own texts.
  public var vocabulary = 4096
  /// Most tokens of an answer.
  public var answerTokens = 160
  /// Prompts that are answered at most.
  public var prompts = 260
  /// Prompts longer than this are left out.
  public var promptTokens = 320
  /// Temperature of the answers.
  public var temperature = 0.0
  /// Positions of a batch.
  public var batch = 256
  /// Steps of training.
  public var steps = 600
  /// Learning rate after the warm-up.
  public var rate = 2e-3
  /// Steps of warm-up.
  public var warmUp = 50
  /// Part of the rate that is left in the end.
  public var floor = 0.1
  /// Weight decay.
  public var decay = 0.01
  /// Weight of head k in the loss: this to the power of k.
  public var headDecay = 0.8
  /// What a guess is compared with.
  public var target = Target.teacher
  /// Share of the prompts that are held out.
  public var validation = 0.1
  /// Seed of everything that is drawn.
  public var seed = 1

  /// The recipe for SmolLM2-135M on two cores.
  public init() {}

  /// Reads `key: value` lines, the part of YAML that a recipe needs; `#` begins a comment.
  ///
  /// - Throws: `LearningError` that names the line and what is possible.
  public init(yaml text: String, name: String) throws {
    self.init()
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
    {
      let content = line.prefix { $0 != "#" }
      if content.allSatisfy(\.isWhitespace) { continue }
      let parts = content.split(separator: ":", maxSplits: 1).map {
        $0.trimmingCharacters(in: .whitespaces)
      }
      guard parts.count == 2 else {
        throw LearningError("\(name), line \(index + 1),", "is not 'key: value'")
      }
      try set(parts[0], parts[1], place: "\(name), line \(index + 1):")
    }
  }

  private static let integers:
    [(String, WritableKeyPath<HeadsRecipe, Int> & Sendable, ClosedRange<Int>)] = [
      ("heads", \.heads, 1...8), ("rank", \.rank, 32...4096),
      ("vocabulary", \.vocabulary, 16...1_000_000),
      ("answer-tokens", \.answerTokens, 8...100_000), ("prompts", \.prompts, 2...1_000_000),
      ("prompt-tokens", \.promptTokens, 1...100_000),
      ("batch", \.batch, 1...65_536), ("steps", \.steps, 1...10_000_000),
      ("warm-up", \.warmUp, 0...1_000_000),
      ("seed", \.seed, 0...Int(Int32.max)),
    ]
  private static let numbers:
    [(String, WritableKeyPath<HeadsRecipe, Double> & Sendable, ClosedRange<Double>)] = [
      ("temperature", \.temperature, 0...2), ("rate", \.rate, 1e-8...10), ("floor", \.floor, 0...1),
      ("decay", \.decay, 0...1), ("head-decay", \.headDecay, 0...1),
      ("validation", \.validation, 0.01...0.9),
    ]

  private mutating func set(_ key: String, _ value: String, place: String) throws {
    if let (_, path, range) = Self.integers.first(where: { $0.0 == key }) {
      guard let number = Int(value), range.contains(number) else {
        throw LearningError(
          place, "\(key) is \(value), expected \(range.lowerBound) to \(range.upperBound)")
      }
      self[keyPath: path] = number
    } else if let (_, path, range) = Self.numbers.first(where: { $0.0 == key }) {
      guard let number = Double(value), range.contains(number) else {
        throw LearningError(
          place, "\(key) is \(value), expected \(range.lowerBound) to \(range.upperBound)")
      }
      self[keyPath: path] = number
    } else if key == "target" {
      guard let target = Target(rawValue: value) else {
        throw LearningError(place, "target is \(value), expected token or teacher")
      }
      self.target = target
    } else {
      let known = Self.integers.map(\.0) + Self.numbers.map(\.0) + ["target"]
      throw LearningError(place, "unknown key '\(key)'; known are \(known.joined(separator: ", "))")
    }
    guard rank.isMultiple(of: 32) else {
      throw LearningError(place, "rank is \(rank), expected a multiple of 32")
    }
  }

  /// The settings as text, for the record of what they made.
  public var summary: String {
    (Self.integers.map { "\($0.0): \(self[keyPath: $0.1])" }
      + Self.numbers.map { "\($0.0): \(self[keyPath: $0.1])" } + ["target: \(target.rawValue)"])
      .joined(separator: ", ")
  }

  /// How the trainer runs.
  public var plan: TrainingPlan {
    TrainingPlan(
      schedule: Schedule(.cosine, peak: rate, floor: floor, warmUp: warmUp, total: steps),
      checkpointEvery: 50)
  }
}
