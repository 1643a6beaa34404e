import Compute
import Foundation
import Transformers

@testable import Decoding

/// Pearson's chi-square test.
struct ChiSquare {
  /// Sum of (observed - expected)^2 / expected; infinite if something impossible was observed.
  let statistic: Double
  let degreesOfFreedom: Int

  /// Cells that expect fewer than five are put together into one.
  ///
  /// - Parameters:
  ///   - observed: how often each outcome was seen.
  ///   - probabilities: what each outcome should have; those not named have none.
  init<Outcome: Hashable>(observed: [Outcome: Int], probabilities: [Outcome: Double]) {
    let total = Double(observed.values.reduce(0, +))
    var sum = 0.0
    var cells = 0
    var rest = (observed: 0.0, expected: 0.0)
    func add(_ observed: Double, _ expected: Double) {
      cells += 1
      sum += (observed - expected) * (observed - expected) / expected
    }
    for (outcome, probability) in probabilities {
      let (seen, expected) = (Double(observed[outcome] ?? 0), probability * total)
      if expected >= 5 {
        add(seen, expected)
      } else {
        rest = (rest.observed + seen, rest.expected + expected)
      }
    }
    if rest.expected > 0 { add(rest.observed, rest.expected) }
    let isImpossible = observed.contains { $0.value > 0 && (probabilities[$0.key] ?? 0) <= 0 }
    statistic = isImpossible ? .infinity : sum
    degreesOfFreedom = max(cells - 1, 1)
  }

  /// Probability of a statistic at least this large if the probabilities are right.
  var pValue: Double {
    statistic.isInfinite
      ? 0 : Self.upperGamma(Double(degreesOfFreedom) / 2, statistic / 2)
  }

  /// The regularised upper incomplete gamma function Q(a, x).
  static func upperGamma(_ a: Double, _ x: Double) -> Double {
    guard x > 0 else { return 1 }
    let front = exp(a * log(x) - x - lgamma(a))
    if x < a + 1 {
      // Series of P(a, x).
      var term = 1 / a
      var sum = term
      var n = a
      while term > sum * 1e-16 {
        n += 1
        term *= x / n
        sum += term
      }
      return max(1 - front * sum, 0)
    }
    // Continued fraction of Q(a, x), by Lentz's method.
    var b = x + 1 - a
    var c = 1e300
    var d = 1 / b
    var h = d
    for i in 1..<10_000 {
      let factor = -Double(i) * (Double(i) - a)
      b += 2
      d = 1 / nonzero(factor * d + b)
      c = nonzero(b + factor / c)
      h *= d * c
      if abs(d * c - 1) < 1e-15 { break }
    }
    return front * h
  }

  private static func nonzero(_ value: Double) -> Double { abs(value) < 1e-300 ? 1e-300 : value }
}

/// A target without a model: the next token depends on the latest two.
struct ToyTarget {
  let vocabularyCount: Int
  /// Logits after each pair of tokens.
  private var rows: [[Float]]

  /// - Parameter logits: of the next token after a pair.
  init(vocabularyCount: Int, logits: (_ first: Int, _ second: Int) -> [Float]) {
    self.vocabularyCount = vocabularyCount
    rows = (0..<vocabularyCount * vocabularyCount).map {
      logits($0 / vocabularyCount, $0 % vocabularyCount)
    }
  }

  /// Random tables; `scale` is large for peaked distributions and 0 for flat ones.
  static func random(_ vocabularyCount: Int, scale: Float, seed: UInt64) -> ToyTarget {
    var random = TestRandom(seed)
    return ToyTarget(vocabularyCount: vocabularyCount) { _, _ in
      random.logits(vocabularyCount, scale: scale)
    }
  }

  /// The same tables with some tokens ruled out.
  func excluding(_ isExcluded: (_ token: Int) -> Bool) -> ToyTarget {
    var copy = self
    for row in copy.rows.indices {
      for token in 0..<vocabularyCount where isExcluded(token) {
        copy.rows[row][token] = -.infinity
      }
    }
    return copy
  }

  func logits(after first: Int32, _ second: Int32) -> [Float] {
    rows[Int(first) * vocabularyCount + Int(second)]
  }

  /// Softmax of a row.
  func probabilities(after first: Int32, _ second: Int32) -> [Double] {
    let logits = logits(after: first, second)
    let weights = logits.map { exp(Double($0 - (logits.max() ?? 0))) }
    let total = weights.reduce(0, +)
    return weights.map { $0 / total }
  }

  /// [1 + nodes, vocabulary]: what a pass over the root and the tree gives.
  func pass(_ history: TokenHistory, _ tree: TokenTree) -> [Float] {
    let latest = history.tokens.suffix(2)
    let (before, root) = (latest.first ?? 0, latest.last ?? 0)
    var output = logits(after: before, root)
    for node in 0..<tree.count {
      let parent = Int(tree.parents[node])
      output += logits(after: parent < 0 ? root : tree.tokens[parent], tree.tokens[node])
    }
    return output
  }

  /// Probability of every text of `length` tokens after `prompt`, by the plain definition of the
  /// sampling options.
  func texts(
    after prompt: [Int32], length: Int, options: SamplingOptions
  ) -> [[Int32]: Double] {
    var texts: [[Int32]: Double] = [[]: 1]
    for _ in 0..<length {
      var longer: [[Int32]: Double] = [:]
      for (text, probability) in texts {
        let history = prompt + text
        let row = logits(after: history[history.count - 2], history[history.count - 1])
        let next = NaiveSampling(options: options).distribution(logits: row, history: history)
        for (token, share) in next { longer[text + [token]] = probability * share }
      }
      texts = longer
    }
    return texts
  }
}

/// Decodes a toy target with the real verifiers and processors, in the order of `Generation`.
struct ToyDecoder {
  let target: ToyTarget
  var options = SamplingOptions(temperature: 1)
  var budget = DraftBudget(nodes: 6, depth: 6)
  var prompt: [Int32] = [0, 1]

  struct Output {
    var tokens: [Int32] = []
    var forwards = 0
    var drafted = 0
    var accepted = 0
  }

  /// - Parameter verifier: of the same seed.
  func run(
    _ drafter: any Drafter, _ verifier: any Verifier, _ processor: LogitsProcessor, seed: UInt64,
    length: Int, checksTrees: Bool = true
  ) throws -> Output {
    var output = Output()
    var history = TokenHistory(prompt, capacity: prompt.count + length)
    var tree = TokenTree()
    let noise = RandomStream(seed: seed, purpose: verifier.needsDistributions ? .draft : .target)
    func context(_ history: TokenHistory) -> DraftContext {
      DraftContext(
        history: history, promptCount: prompt.count, sampling: options, noise: noise,
        needsDistributions: verifier.needsDistributions)
    }
    try drafter.begin(context(history))
    while output.tokens.count < length {
      tree.removeAll()
      let room = length - output.tokens.count - 1
      let limit = DraftBudget(nodes: budget.nodes, depth: min(budget.depth, room))
      if !limit.isEmpty { try drafter.propose(limit, context: context(history), into: &tree) }
      if checksTrees { try tree.checkInvariants() }
      guard tree.count <= limit.nodes, tree.depth <= limit.depth else {
        throw BrokenInvariant(what: "a draft of \(tree.count) nodes keeps to \(limit)")
      }
      output.forwards += 1
      output.drafted += tree.count
      try target.pass(history, tree).withUnsafeBufferPointer { rows in
        let logits = TreeLogits(
          rows.baseAddress, rowCount: 1 + tree.count, vocabularyCount: target.vocabularyCount)
        let found = try verifier.verify(
          VerificationInput(
            tree: tree, logits: logits, history: history, limit: length - output.tokens.count),
          processor: processor)
        let position = history.count
        for token in found.emitted { history.append(token) }
        output.tokens += found.emitted
        output.accepted += found.accepted.count
        try drafter.observe(
          DraftObservation(
            position: position, tree: tree, accepted: found.accepted, emitted: found.emitted,
            logits: logits, taps: []), context: context(history))
      }
    }
    return output
  }

  /// The text of plain decoding with this seed.
  func plain(seed: UInt64, length: Int) throws -> [Int32] {
    let processor = try LogitsProcessor(
      options: options, vocabularyCount: target.vocabularyCount, seed: seed)
    return try run(NoDrafter(), CoupledVerifier(), processor, seed: seed, length: length).tokens
  }

  /// Samples texts by rejection, each with a seed of its own, and counts them.
  ///
  /// - Parameters:
  ///   - makeDrafter: gets the number of the sample.
  ///   - makeVerifier: gets the seed; the engine's own unless a test wants a wrong one.
  func sample(
    _ count: Int, length: Int, firstSeed: UInt64 = 1,
    verifier makeVerifier: (UInt64) -> any Verifier = { RejectionVerifier(seed: $0) },
    drafter makeDrafter: (Int) throws -> any Drafter
  ) throws -> Samples {
    let processor = try LogitsProcessor(
      options: options, vocabularyCount: target.vocabularyCount, seed: 0)
    var samples = Samples()
    for index in 0..<count {
      let seed = firstSeed + UInt64(index)
      let output = try run(
        try makeDrafter(index), makeVerifier(seed), processor, seed: seed, length: length,
        checksTrees: index < 1000)
      samples.texts[output.tokens, default: 0] += 1
      samples.forwards += output.forwards
      samples.drafted += output.drafted
      samples.accepted += output.accepted
    }
    return samples
  }

  struct Samples {
    var texts: [[Int32]: Int] = [:]
    var forwards = 0
    var drafted = 0
    var accepted = 0
  }

  /// The chi-square test of whole texts.
  func test(_ samples: Samples, length: Int) -> ChiSquare {
    ChiSquare(
      observed: samples.texts,
      probabilities: target.texts(after: prompt, length: length, options: options))
  }

  /// The chi-square test of the token at one place of the texts.
  func test(_ samples: Samples, length: Int, tokenAt place: Int) -> ChiSquare {
    let texts = target.texts(after: prompt, length: length, options: options)
    return ChiSquare(
      observed: Dictionary(samples.texts.map { ($0.key[place], $0.value) }, uniquingKeysWith: +),
      probabilities: Dictionary(texts.map { ($0.key[place], $0.value) }, uniquingKeysWith: +))
  }
}

/// Plain decoding.
final class NoDrafter: Drafter {
  let name = "none"
  func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) {}
}

/// Drafts trees from a toy's distributions, without replacement, and can do so wrongly.
final class ToyDrafter: Drafter {
  /// What can be wrong about a drafted tree.
  enum Fault: CaseIterable {
    /// Children are put in order of probability after they were drawn.
    case sortsChildren
    /// The distribution says less than the children were drawn with: it is not renormalised.
    case understates
    /// Children are drawn with the noise of the target's own draws.
    case sharesNoise
    /// The distribution is another one than the children were drawn from.
    case liesAboutDistribution
  }

  let name = "toy"
  private let source: ToyTarget
  private let width: [Int]
  private let isDrawn: Bool
  private let fault: Fault?

  /// - Parameters:
  ///   - width: children of each node at depth 1, 2, and so on.
  ///   - isDrawn: false to choose the likeliest children.
  init(_ source: ToyTarget, width: [Int], isDrawn: Bool = true, fault: Fault? = nil) {
    self.source = source
    self.width = width
    self.isDrawn = isDrawn
    self.fault = fault
  }

  func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) {
    let latest = context.tokens.suffix(2)
    var level: [(node: Int, before: Int32, last: Int32)] = [
      (TokenTree.root, latest.first ?? 0, latest.last ?? 0)
    ]
    for (depth, width) in width.enumerated() where depth < budget.depth {
      var next: [(node: Int, before: Int32, last: Int32)] = []
      for parent in level {
        for token in draw(below: parent, width, depth, context, &tree)
        where tree.count < budget.nodes {
          next.append((tree.append(token, below: parent.node), parent.last, token))
        }
      }
      level = next
    }
  }

  private func draw(
    below parent: (node: Int, before: Int32, last: Int32), _ width: Int, _ depth: Int,
    _ context: DraftContext, _ tree: inout TokenTree
  ) -> ArraySlice<Int32> {
    let weights = source.probabilities(after: parent.before, parent.last)
    let ids = weights.indices.map { Int32($0) }
    let distribution = DraftDistribution(tokens: ids, weights: weights)
    guard isDrawn else { return ids.sorted { weights[Int($0)] > weights[Int($1)] }.prefix(width) }
    let noise =
      fault == .sharesNoise
      ? RandomStream(seed: context.noise.seed, purpose: .target)
      : context.noise.forStep(at: context.position)
    let place = fault == .sharesNoise ? context.position + depth : parent.node + 1
    var scores: [Int32: Double] = [:]
    for (token, probability) in zip(distribution.tokens, distribution.probabilities) {
      scores[token] = log(probability) + noise.gumbel(position: place, token: Int(token))
    }
    var drawn = distribution.tokens.sorted { scores[$0, default: 0] > scores[$1, default: 0] }
      .prefix(width)
    switch fault {
    case .sortsChildren: drawn = drawn.sorted { weights[Int($0)] > weights[Int($1)] }[...]
    case .understates:
      // A third of the probability goes to a token that was never drawn.
      let rest = weights.reduce(0, +) / 2
      tree.setDistribution(
        DraftDistribution(tokens: ids + [Int32(ids.count)], weights: weights + [rest]),
        below: parent.node)
      return drawn
    case .liesAboutDistribution:
      tree.setDistribution(
        DraftDistribution(tokens: ids, weights: weights.map { $0 > 0 ? 1 : 0 }),
        below: parent.node)
      return drawn
    case .sharesNoise, nil: break
    }
    tree.setDistribution(distribution, below: parent.node)
    return drawn
  }
}
