/// Why a step drafted what it drafted: who was asked, what that was expected to bring, what else
/// could have been run.
///
/// Recorded where `GenerationOptions.explainsDrafts` asks for it.
public struct StepPlan: Sendable, Equatable, Codable {
  /// A drafter's part in the step.
  public struct Member: Sendable, Equatable, Codable {
    /// Name of the drafter.
    public let drafter: String
    /// False if it was passed over.
    public var wasAsked: Bool
    /// Levels that were asked for, where the drafter runs a model.
    public var levels: Int?
    /// Nodes that it proposed.
    public var proposed = 0
    /// Of these, nodes that are run.
    public var kept = 0
    /// Time of the proposal, in microseconds.
    public var microseconds: Double?
    /// Tokens that asking was expected to gain beyond what was known without, its price taken off;
    /// nil for drafters that cost next to nothing.
    public var valueOfAsking: Double?
    /// Why it was passed over, or asked although it did not pay.
    public var note: String?

    init(drafter: String, wasAsked: Bool, note: String? = nil) {
      self.drafter = drafter
      self.wasAsked = wasAsked
      self.note = note
    }

    private enum CodingKeys: String, CodingKey {
      case drafter, levels, proposed, kept, note
      case wasAsked = "asked"
      case microseconds = "us"
      case valueOfAsking = "value_of_asking"
    }
  }

  /// A number of nodes that could be run.
  public struct Choice: Sendable, Equatable, Codable {
    /// Nodes, the best ones.
    public let nodes: Int
    /// Tokens that the step gives on average, the target's own among them.
    public let expectedTokens: Double
    /// Expected time of the pass, in microseconds.
    public let microseconds: Double
    /// Tokens gained over plain decoding, the time taken off at the rate's worth.
    public let gain: Double

    private enum CodingKeys: String, CodingKey {
      case nodes, gain
      case expectedTokens = "expected_tokens"
      case microseconds = "us"
    }
  }

  /// Expected time of a pass without drafts, in microseconds.
  public var plainMicroseconds: Double
  /// What a second was worth, in tokens.
  public var tokensPerSecond = 0.0
  /// Who took part.
  public var members: [Member]
  /// Different nodes that were proposed.
  public var proposed = 0
  /// What was chosen.
  public var chosen: Choice
  /// Some of what else was looked at, in order of their nodes.
  public var alternatives: [Choice] = []

  init(plainMicroseconds: Double, members: [Member]) {
    self.plainMicroseconds = plainMicroseconds
    self.members = members
    chosen = Choice(nodes: 0, expectedTokens: 1, microseconds: plainMicroseconds, gain: 0)
  }

  /// Notes what was chosen, and its neighbours.
  mutating func decide(_ choice: StepEconomy.Choice, sums: [Double], prices: [Double]) {
    tokensPerSecond = choice.rate * 1e6
    proposed = sums.count - 1
    func describe(_ count: Int) -> Choice {
      Choice(
        nodes: count, expectedTokens: 1 + sums[count], microseconds: prices[count],
        gain: sums[count] - choice.rate * (prices[count] - prices[0]))
    }
    chosen = describe(choice.count)
    let near = [0, 1, choice.count / 2, choice.count - 1, choice.count + 1, choice.count * 2]
    alternatives = Set(near + [proposed]).sorted()
      .filter { sums.indices.contains($0) && $0 != choice.count }.map(describe)
  }

  private enum CodingKeys: String, CodingKey {
    case members, proposed, chosen, alternatives
    case plainMicroseconds = "plain_us"
    case tokensPerSecond = "tokens_per_second"
  }
}
