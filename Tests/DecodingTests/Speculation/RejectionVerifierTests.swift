import Compute
import Testing
import Transformers

@testable import Decoding

/// Texts sampled with the verifier follow the target's own distribution, and what would break that
/// is noticed.
@Suite struct RejectionVerifierTests {
  /// Target and draft distributions over six tokens.
  enum Pairing: String, CaseIterable, Sendable {
    case alike, peakedByFlat, flatByPeaked, disjoint, zeros

    var target: ToyTarget {
      switch self {
      case .alike: .random(6, scale: 1, seed: 1)
      case .peakedByFlat: .random(6, scale: 4, seed: 2)
      case .flatByPeaked: .random(6, scale: 0, seed: 3)
      case .disjoint: .random(6, scale: 1, seed: 4).excluding { $0 > 2 }
      case .zeros: .random(6, scale: 1, seed: 5).excluding { $0 == 1 || $0 == 4 }
      }
    }

    var draft: ToyTarget {
      switch self {
      case .alike: .random(6, scale: 1, seed: 11)
      case .peakedByFlat: .random(6, scale: 0, seed: 12)
      case .flatByPeaked: .random(6, scale: 4, seed: 13)
      case .disjoint: .random(6, scale: 1, seed: 14).excluding { $0 < 3 }
      case .zeros: .random(6, scale: 1, seed: 15).excluding { $0 == 0 || $0 == 1 }
      }
    }
  }

  /// How drafts are made of the draft distribution.
  enum Shape: String, CaseIterable, Sendable {
    case chain, tree, chosenChain, chosenTree

    func drafter(_ source: ToyTarget, fault: ToyDrafter.Fault? = nil) -> ToyDrafter {
      switch self {
      case .chain: ToyDrafter(source, width: [1, 1, 1], fault: fault)
      case .tree: ToyDrafter(source, width: [3, 2], fault: fault)
      case .chosenChain: ToyDrafter(source, width: [1, 1], isDrawn: false)
      case .chosenTree: ToyDrafter(source, width: [3, 1], isDrawn: false)
      }
    }
  }

  @Test("the p-value is that of the tables")
  func pValues() {
    // Quantiles of the chi-square distribution: df, statistic, upper probability.
    let table = [
      (1.0, 3.841_458_8, 0.05), (1, 10.827_566, 0.001), (5, 20.515_006, 0.001),
      (5, 4.351_460, 0.5), (35, 66.618_829, 0.001), (171, 232.931_2, 0.001_151_280_8),
      (255, 255, 0.488_222_520),
    ]
    for (degrees, statistic, probability) in table {
      let found = ChiSquare.upperGamma(degrees / 2, statistic / 2)
      #expect(abs(found - probability) < 1e-5 * probability, "\(degrees) \(statistic) \(found)")
    }
    let fair = ChiSquare(observed: ["a": 10, "b": 12], probabilities: ["a": 0.5, "b": 0.5])
    #expect(fair.degreesOfFreedom == 1 && abs(fair.statistic - 2.0 / 11) < 1e-12)
    let impossible = ChiSquare(observed: ["a": 9, "c": 1], probabilities: ["a": 1])
    #expect(impossible.pValue == 0)
  }

  @Test(
    "200,000 texts follow the target, token by token and in pairs",
    arguments: Pairing.allCases, Shape.allCases)
  func distribution(_ pairing: Pairing, _ shape: Shape) throws {
    let decoder = ToyDecoder(target: pairing.target)
    let drafter = shape.drafter(pairing.draft)
    let samples = try decoder.sample(200_000, length: 2) { _ in drafter }
    #expect(decoder.test(samples, length: 2).pValue > 0.001)
    for place in 0..<2 {
      #expect(decoder.test(samples, length: 2, tokenAt: place).pValue > 0.001)
    }
    #expect(samples.accepted > 0 || pairing == .disjoint)
  }

  @Test(
    "the sampling options shape the target, not the draft",
    arguments: [
      SamplingOptions(temperature: 0.5), .init(temperature: 1.7), .init(temperature: 1, topK: 3),
      .init(temperature: 0.8, topP: 0.8), .init(temperature: 1, minP: 0.2),
      .init(
        temperature: 0.9, topK: 5, topP: 0.97, repetitionPenalty: 1.4, presencePenalty: 0.3,
        frequencyPenalty: 0.5, penaltyWindow: 3, logitBias: [2: 1, 5: -.infinity]),
    ])
  func options(_ options: SamplingOptions) throws {
    for shape in [Shape.chain, .tree, .chosenTree] {
      let decoder = ToyDecoder(target: Pairing.alike.target, options: options)
      let drafter = shape.drafter(Pairing.alike.draft)
      let samples = try decoder.sample(60_000, length: 3) { _ in drafter }
      let test = decoder.test(samples, length: 3)
      #expect(test.pValue > 0.001, "\(shape) \(test)")
    }
  }

  @Test("one draft is accepted as often as the distributions overlap", arguments: Pairing.allCases)
  func acceptance(_ pairing: Pairing) throws {
    let decoder = ToyDecoder(target: pairing.target, budget: DraftBudget(nodes: 1, depth: 1))
    let drafter = ToyDrafter(pairing.draft, width: [1])
    // The second token has no room for a draft of its own.
    let samples = try decoder.sample(200_000, length: 2) { _ in drafter }
    let overlap = zip(
      pairing.target.probabilities(after: 0, 1), pairing.draft.probabilities(after: 0, 1)
    ).reduce(0) { $0 + min($1.0, $1.1) }
    let rate = Double(samples.accepted) / 200_000
    #expect(abs(rate - overlap) < 0.005, "\(rate) of \(overlap)")
    if pairing == .disjoint { #expect(samples.accepted == 0) }
  }

  @Test(
    "drafts that are drawn or described wrongly are found out", arguments: ToyDrafter.Fault.allCases
  )
  func negativeControls(_ fault: ToyDrafter.Fault) throws {
    let decoder = ToyDecoder(target: Pairing.alike.target)
    let drafter = Shape.tree.drafter(Pairing.alike.draft, fault: fault)
    let samples = try decoder.sample(60_000, length: 2) { _ in drafter }
    let test = decoder.test(samples, length: 2)
    #expect(test.pValue < 1e-9, "\(test)")
    #expect(test.statistic > 300, "\(test)")
  }

  @Test("at temperature 0 the text is the greedy one, whatever is drawn")
  func greedy() throws {
    let decoder = ToyDecoder(target: Pairing.alike.target, options: .greedy)
    let plain = try decoder.plain(seed: 1, length: 24)
    for shape in Shape.allCases {
      let drafter = shape.drafter(Pairing.alike.draft)
      let samples = try decoder.sample(50, length: 24) { _ in drafter }
      #expect(samples.texts == [plain: 50])
    }
  }
}
