/// Settings of Entropy Adaptive Decoding (`--decode entropy-adaptive`).
public struct EADOptions: Sendable, Equatable {
  /// One of the two models.
  public enum Lane: String, Sendable, Codable, CaseIterable {
    /// The smaller model, loaded with `LanguageModel.LoadOptions.draft`.
    case small
    /// The model itself.
    case large
  }

  /// What of the latest entropies is compared with the threshold.
  public enum Trigger: String, Sendable, Codable, CaseIterable {
    /// Their mean, as in the paper.
    case mean
    /// The largest of them, which one unsure token is enough for.
    case max
  }

  /// Entropy in bits from which the large model writes: 0 for the large model alone, infinity for
  /// the small one alone.
  public var threshold: Double
  /// Tokens that the rolling entropy looks back on, 1 to 32.
  public var window: Int
  /// Fewest tokens between two switches, 0 to 1000.
  public var leastStretch: Int
  /// Who writes first; nil for the small model, and for the large one where the threshold is 0.
  public var start: Lane?
  /// What of the latest entropies is compared.
  public var trigger: Trigger

  /// The paper's window and stretch; the threshold's value is not in the paper.
  public init(
    threshold: Double = 0.75, window: Int = 5, leastStretch: Int = 10, start: Lane? = nil,
    trigger: Trigger = .mean
  ) {
    self.threshold = threshold
    self.window = window
    self.leastStretch = leastStretch
    self.start = start
    self.trigger = trigger
  }

  /// Throws `GenerationError.invalidOption` for the first setting that is out of range.
  func validate() throws {
    try SearchOptions.check(
      "switch entropy", threshold, 0...Double.infinity, "0 or more bits, inf for the small model")
    try SearchOptions.check("switch window", window, 1...32, "1 to 32 tokens")
    try SearchOptions.check("least stretch", leastStretch, 0...1000, "0 to 1000 tokens")
  }
}

/// Says which of two models writes the next token: the rule of Entropy Adaptive Decoding, without
/// the models.
struct EntropySwitch {
  private let options: EADOptions
  private var recent: [Double] = []
  private var sinceSwitch = 0
  /// Who writes the next token.
  private(set) var active: EADOptions.Lane

  init(_ options: EADOptions) {
    self.options = options
    active = options.start ?? (options.threshold > 0 ? .small : .large)
  }

  /// What is compared with the threshold: the mean or the largest of the latest entropies.
  var rolling: Double {
    guard !recent.isEmpty else { return 0 }
    return options.trigger == .max
      ? recent.max() ?? 0 : recent.reduce(0, +) / Double(recent.count)
  }

  /// Notes the entropy, in bits, of the distribution that the active model's token came from. The
  /// window is not emptied by a switch: a stretch is usually longer than it.
  ///
  /// - Returns: true if the other model writes the next token.
  mutating func observe(_ bits: Double) -> Bool {
    recent.append(bits)
    if recent.count > options.window { recent.removeFirst() }
    sinceSwitch += 1
    guard sinceSwitch >= options.leastStretch else { return false }
    let wanted: EADOptions.Lane = rolling >= options.threshold ? .large : .small
    guard wanted != active else { return false }
    active = wanted
    sinceSwitch = 0
    return true
  }
}
