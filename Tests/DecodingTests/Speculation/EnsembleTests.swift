import Compute
import Foundation
import Testing

@testable import Decoding

/// A drafter that fails where it is told to.
final class FailingDrafter: Drafter {
  struct Failure: Error, CustomStringConvertible {
    let description = "told to fail"
  }

  let name: String
  private let inner: any Drafter
  private let luck: RandomStream
  private let share: Double
  private let stages: Set<GenerationWarning.Stage>
  private var calls = 0

  /// - Parameters:
  ///   - stages: calls that may fail.
  ///   - share: of those calls that do.
  init(
    _ inner: any Drafter, in stages: Set<GenerationWarning.Stage>, share: Double = 1,
    seed: UInt64 = 1
  ) {
    name = inner.name
    self.inner = inner
    self.stages = stages
    self.share = share
    luck = RandomStream(seed: seed)
  }

  private func maybeFail(_ stage: GenerationWarning.Stage) throws {
    calls += 1
    guard stages.contains(stage), luck.uniform(position: calls, token: 0) < share else { return }
    throw Failure()
  }

  var requirements: DrafterRequirements { inner.requirements }
  func price(_ context: DraftContext) -> DraftPrice? { inner.price(context) }
  func begin(_ context: DraftContext) throws {
    try maybeFail(.begin)
    try inner.begin(context)
  }
  func propose(
    _ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree
  ) throws {
    try inner.propose(budget, context: context, into: &tree)
    // After something was proposed: half a tree must not be run.
    try maybeFail(.propose)
  }
  func observe(_ step: DraftObservation, context: DraftContext) throws {
    try inner.observe(step, context: context)
    try maybeFail(.observe)
  }
  func end() throws {
    try inner.end()
    try maybeFail(.end)
  }
}

/// Proposes a chain of tokens, all with one probability.
private final class ChainDrafter: Drafter {
  let name: String
  let requirements: DrafterRequirements
  var chain: (Int) -> [Int32]
  private let probability: Float
  private let level: Double?
  private(set) var askedLevels: [Int] = []
  private(set) var observed = 0

  init(
    _ name: String, probability: Float = 0.9, level: Double? = nil,
    chain: @escaping (Int) -> [Int32]
  ) {
    self.name = name
    self.probability = probability
    self.level = level
    self.chain = chain
    requirements = DrafterRequirements(runsModel: level != nil)
  }

  func price(_ context: DraftContext) -> DraftPrice? {
    level.map { DraftPrice(catchUp: 0, level: $0) }
  }

  func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) {
    askedLevels.append(budget.depth)
    tree.append(
      chain: chain(context.position).prefix(min(budget.depth, budget.nodes)),
      probability: probability)
  }

  func observe(_ step: DraftObservation, context: DraftContext) { observed += 1 }
}

@Suite struct EnsembleTests {
  // MARK: Merging

  @Test("a token that several propose at a place is one node that remembers all of them")
  func merging() throws {
    var first = TokenTree()
    first.append(chain: [5, 6, 7], probability: 0.5)
    var second = TokenTree()
    second.append(9, below: TokenTree.root, probability: 0.3)
    let five = second.append(5, below: TokenTree.root, probability: 0.8)
    second.append(6, below: five, probability: 0.4)
    second.append(8, below: five, probability: 0.1)
    var proposal = EnsembleProposal(memberCount: 3)
    proposal.add(first, from: 0)
    proposal.add(second, from: 2)
    try proposal.tree.checkInvariants()
    #expect(proposal.tree.tokens == [5, 6, 7, 9, 8])
    #expect(proposal.tree.proposers == [0b101, 0b101, 0b001, 0b100, 0b100])
    #expect((0..<5).map { proposal.node($0, of: 2) } == [1, 2, nil, 0, 3])
    #expect((0..<5).map { proposal.node($0, of: 0) } == [0, 1, 2, nil, nil])
    #expect((0..<5).allSatisfy { proposal.node($0, of: 1) == nil })
    #expect(proposal.isOnly(0, at: 2) && !proposal.isOnly(0, at: 1))
    var best = TokenTree()
    proposal.best(
      3, order: [0, 3, 1, 2, 4], probabilities: [0.6, 0.5, 0.4, 0.3, 0.2],
      origins: [2, 0, 0, 2, 2], into: &best)
    try best.checkInvariants()
    #expect(best.tokens == [5, 6, 9] && best.parents == [-1, 0, -1])
    #expect(best.proposers == [0b101, 0b101, 0b100] && best.origins == [2, 0, 2])
  }

  @Test("random trees merge to one trie that has every path of each of them")
  func randomMerging() throws {
    let noise = RandomStream(seed: 3)
    for round in 0..<200 {
      var proposal = EnsembleProposal(memberCount: 4)
      var trees: [TokenTree] = []
      for member in 0..<4 {
        var tree = TokenTree()
        for node in 0..<(round % 12) {
          let key = (round * 4 + member) * 16 + node
          let parent = Int(noise.uniform(position: key, token: 1) * Double(node + 1)) - 1
          tree.append(
            Int32(noise.uniform(position: key, token: 2) * 3), below: min(parent, tree.count - 1),
            probability: Float(noise.uniform(position: key, token: 3)))
        }
        trees.append(tree)
        proposal.add(tree, from: member)
      }
      try proposal.tree.checkInvariants()
      let merged = Set((0..<proposal.count).map { proposal.tree.path(to: $0) })
      let all = Set(trees.flatMap { tree in (0..<tree.count).map { tree.path(to: $0) } })
      #expect(merged == all && proposal.count == all.count)
      for node in 0..<proposal.count {
        let path = proposal.tree.path(to: node)
        for member in 0..<4 {
          let own = proposal.node(node, of: member)
          #expect(own.map { trees[member].path(to: $0) } ?? path == path)
          let isProposer = proposal.tree.proposers[node] & 1 << UInt32(member) != 0
          #expect(isProposer == (own != nil))
        }
      }
    }
  }

  @Test("what several propose is calibrated by who they are")
  func calibration() {
    var calibration = NodeCalibration()
    for round in 0..<400 {
      // Alone right in 3 of 10 cases, together in 9 of 10; the estimate is 0.5 for both.
      calibration.record(
        proposers: 0b01, estimate: 0.5, isBest: true, accepted: round % 10 < 3)
      calibration.record(
        proposers: 0b11, estimate: 0.5, isBest: true, accepted: round % 10 < 9)
    }
    let alone = calibration.estimate(proposers: 0b01, estimate: 0.5, isBest: true)
    let together = calibration.estimate(proposers: 0b11, estimate: 0.5, isBest: true)
    #expect(abs(alone - 0.3) < 0.05 && abs(together - 0.9) < 0.05, "\(alone) \(together)")
    // Of another one that is alone: as of those that were.
    let other = calibration.estimate(proposers: 0b10, estimate: 0.5, isBest: true)
    #expect(abs(other - 0.3) < 0.05, "\(other)")
    // Nothing was seen of second choices, nor of three that agree: less than they say, and more.
    #expect(calibration.estimate(proposers: 0b01, estimate: 0.5, isBest: false) < 0.4)
    #expect(calibration.estimate(proposers: 0b111, estimate: 0.5, isBest: true) > 0.5)
    for estimate: Float in [0, 1] {
      let certain = calibration.estimate(proposers: 0b111, estimate: estimate, isBest: true)
      #expect(abs(certain - estimate) < 1e-5)
    }
  }

  // MARK: Who is asked

  /// Runs an ensemble on the text whose token at position p is p.
  private func decode(
    _ drafters: [ChainDrafter], tokens: Int, machine: CostCurve = .twoCores,
    planning: PlanningMemory = PlanningMemory()
  ) -> (microseconds: Double, tokens: Int) {
    let ensemble = EnsembleDrafter(drafters.map { ($0, 64) }, now: { 0 })
    let planner = EnsemblePlanner(
      ensemble, costs: CostModel(machine), record: planning.ensemble,
      memberRecord: planning.record)
    ensemble.planner = planner
    var history = TokenHistory([0, 1], capacity: tokens + 80)
    var total = (microseconds: 0.0, tokens: 0)
    while total.tokens < tokens {
      let context = DraftContext(
        history: history, promptCount: 1, sampling: .greedy, noise: RandomStream(seed: 1),
        needsDistributions: false)
      var tree = TokenTree()
      let budget = planner.budget(
        for: ensemble, context: context, limit: DraftBudget(nodes: 64, depth: 64))
      let asked = drafters.map(\.askedLevels.count)
      ensemble.propose(budget, context: context, into: &tree)
      planner.prune(&tree)
      let position = history.count
      var accepted: [Int32] = []
      var node = TokenTree.root
      while let child = tree.child(of: node, token: Int32(position + accepted.count)) {
        accepted.append(Int32(child))
        node = child
      }
      let emitted = (position...(position + accepted.count)).map(Int32.init)
      for token in emitted { history.append(token) }
      ensemble.observe(
        DraftObservation(
          position: position, tree: tree, accepted: accepted, emitted: emitted,
          logits: TreeLogits(nil, rowCount: 0, vocabularyCount: 0), taps: []), context: context)
      let forward = machine.microseconds(rows: 1 + tree.count)
      planner.observe(
        PlannedStep(
          position: position, tree: tree, accepted: accepted, emitted: emitted,
          draftMicroseconds: 0, forwardMicroseconds: forward))
      total.microseconds += forward
      for (drafter, before) in zip(drafters, asked) where drafter.askedLevels.count > before {
        let levels = drafter.price(context).map { $0.level * Double(drafter.askedLevels.last ?? 0) }
        total.microseconds += levels ?? 0
      }
      total.tokens += emitted.count
    }
    return total
  }

  private static func right(_ position: Int) -> [Int32] {
    (position..<(position + 64)).map(Int32.init)
  }

  @Test("a draft model is asked where nothing else has an idea, and not where a copy is sure")
  func valueOfInformation() {
    let isCopied = { (position: Int) in position % 400 < 200 }
    let copy = ChainDrafter("copy") { isCopied($0) ? Self.right($0) : [] }
    let model = ChainDrafter("draft-model", level: 200, chain: Self.right)
    var askedWhereCopied = 0
    let chain = model.chain
    model.chain = { position in
      if isCopied(position), isCopied(position + 30) { askedWhereCopied += 1 }
      return chain(position)
    }
    let found = decode([copy, model], tokens: 8000)
    // Half of the tokens are no copies, and a draft has 64 at most.
    #expect(model.askedLevels.count >= 4000 / 65)
    // Half of 8000 tokens are copied: a look now and then, no more.
    #expect(askedWhereCopied <= 10, "\(askedWhereCopied)")
    // Better than either alone.
    let alone = decode([ChainDrafter("copy") { isCopied($0) ? Self.right($0) : [] }], tokens: 8000)
    let modelAlone = decode(
      [ChainDrafter("draft-model", level: 200, chain: Self.right)], tokens: 8000)
    #expect(found.microseconds < alone.microseconds)
    #expect(found.microseconds < modelAlone.microseconds)
  }

  @Test("a draft model that costs more than it brings is asked for looks only")
  func dearModel() {
    let dear = ChainDrafter("draft-model", level: 2000, chain: Self.right)
    let found = decode([dear], tokens: 6000)
    let plain = CostCurve.twoCores.microseconds(rows: 1) * Double(found.tokens)
    #expect(found.microseconds < 1.02 * plain, "\(found.microseconds / plain)")
    let wrong = ChainDrafter("draft-model", level: 200) { _ in [-1, -2, -3] }
    let useless = decode([wrong], tokens: 6000)
    #expect(useless.microseconds < 1.02 * plain / Double(found.tokens) * Double(useless.tokens))
    #expect(wrong.askedLevels.count < 160, "\(wrong.askedLevels.count)")
  }

  @Test("a member that is always wrong does not spoil what the others find")
  func wrongMember() {
    let good = decode([ChainDrafter("copy", chain: Self.right)], tokens: 4000)
    let liar = ChainDrafter("liar", probability: 1) { _ in [-1, -2, -3, -4] }
    let both = decode([liar, ChainDrafter("copy", chain: Self.right)], tokens: 4000)
    #expect(both.microseconds < 1.05 * good.microseconds)
    #expect(liar.observed > 0)
  }

  @Test("nothing is drafted where rows save nothing")
  func hopeless() {
    let found = decode(
      [
        ChainDrafter("copy", chain: Self.right),
        ChainDrafter("draft-model", level: 500, chain: Self.right),
      ], tokens: 4000, machine: .hopeless)
    #expect(found.microseconds < 1.02 * 2000 * Double(found.tokens))
  }

  // MARK: Failures

  private static let period = 7
  private static func logits(_ context: [Int32]) -> [Float] {
    var logits = [Float](repeating: 0, count: 32)
    logits[context.count % period * 3] = 2
    logits[(context.count * 5) % 32] += 1
    return logits
  }

  private static func members() -> [any Drafter] {
    [
      CopyDrafter(
        settings: CopySettings(isGated: false), index: NGramIndex(length: 3, occurrence: .last)),
      RecyclingDrafter(
        settings: RecyclingSettings(),
        state: RecyclingState(
          matrix: RecyclingMatrix(vocabularyCount: 32, successorCount: 8), template: .paper)),
      ADEDDrafter(settings: ADEDSettings(), table: TrigramTable()),
      STANDDrafter(
        settings: STANDSettings(), store: ProbabilityStore(width: 10, maximumKeys: 1 << 10)),
      InputDrafter(source: InputSource(tokens: [0, 3, 6, 9, 12]), settings: InputSettings()),
    ]
  }

  @Test("members that fail at random are dropped with a warning, the text stays", arguments: 0..<40)
  func injectedFailures(_ seed: Int) throws {
    let prompt: [Int32] = [1, 2, 3]
    let plain = try DrafterReplay(
      ChainDrafter("nothing") { _ in [] }, prompt: prompt, limit: 60, logits: Self.logits)
    let members = Self.members().enumerated().map { index, drafter in
      FailingDrafter(
        drafter, in: [.begin, .propose, .observe], share: 0.02 * Double(1 + seed % 5),
        seed: UInt64(seed * 8 + index))
    }
    let ensemble = EnsembleDrafter(members.map { ($0, 16) })
    let found = try DrafterReplay(ensemble, prompt: prompt, limit: 60, logits: Self.logits)
    #expect(found.output == plain.output)
    let failed = ensemble.takeFailures().map(\.drafter)
    #expect(Set(failed).count == failed.count)
    #expect(
      ensemble.members.filter(\.isDropped).map(\.drafter.name)
        == failed.sorted {
          (ensemble.memberNames.firstIndex(of: $0) ?? 0)
            < (ensemble.memberNames.firstIndex(of: $1) ?? 0)
        })
    // Whoever did not fail goes on.
    if !failed.contains("copy") { #expect(found.tokensPerForward > 1) }
  }

  @Test("a failing member's half-made proposal is not run, and the others' is")
  func halfMade() throws {
    let good = ChainDrafter("good") { _ in [4, 5] }
    let bad = FailingDrafter(ChainDrafter("bad") { _ in [6, 7] }, in: [.propose])
    let ensemble = EnsembleDrafter([(bad, 8), (good, 8)])
    let tree = try DrafterReplay.proposal(ensemble, after: [1, 2])
    #expect(tree.tokens == [4, 5] && tree.origins == [1, 1])
    #expect(
      ensemble.takeFailures() == [
        GenerationWarning(drafter: "bad", stage: .propose, reason: "told to fail")
      ])
  }

  @Test("hidden states go to the member that asked for them")
  func taps() {
    final class Tapping: Drafter {
      let name: String
      let requirements: DrafterRequirements
      var seen: [[Float]] = []
      init(_ name: String, layers: [Int]) {
        self.name = name
        requirements = DrafterRequirements(taps: layers.map { .hiddenState(afterLayer: $0) })
      }
      func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) {}
      func observe(_ step: DraftObservation, context: DraftContext) {
        seen = step.taps.map { Array($0) }
      }
    }
    let (one, two) = (Tapping("one", layers: [3]), Tapping("two", layers: [5, 7]))
    let ensemble = EnsembleDrafter([(one, 4), (two, 4)])
    #expect(ensemble.requirements.taps.count == 3)
    let values: [Float] = [30, 50, 70]
    values.withUnsafeBufferPointer { values in
      ensemble.observe(
        DraftObservation(
          position: 1, tree: TokenTree(), accepted: [], emitted: [1],
          logits: TreeLogits(nil, rowCount: 0, vocabularyCount: 0),
          taps: (0..<3).map { UnsafeBufferPointer(rebasing: values[$0..<($0 + 1)]) }),
        context: DrafterReplay.context(TokenHistory([0, 1]), 1))
    }
    #expect(one.seen == [[30]] && two.seen == [[50], [70]])
  }

  // MARK: Memory

  @Test("a thousand generations do not make it grow")
  func memory() throws {
    let planning = PlanningMemory()
    let table = TrigramTable()
    let matrix = RecyclingMatrix(vocabularyCount: 32, successorCount: 8)
    var used: [Int] = []
    for turn in 0..<1000 {
      let ensemble = EnsembleDrafter([
        (
          CopyDrafter(
            settings: CopySettings(isGated: false),
            index: NGramIndex(length: 3, occurrence: .last)), 32
        ),
        (
          RecyclingDrafter(
            settings: RecyclingSettings(),
            state: RecyclingState(matrix: matrix, template: .paper)), 24
        ),
        (ADEDDrafter(settings: ADEDSettings(), table: table), 24),
      ])
      ensemble.planner = EnsemblePlanner(
        ensemble, costs: CostModel(.eightCores), record: planning.ensemble,
        memberRecord: planning.record)
      let found = try DrafterReplay(
        PlannedEnsemble(ensemble), prompt: [1, Int32(turn % 32), 3], limit: 12,
        logits: Self.logits)
      #expect(found.output.count == 12)
      if turn == 200 || turn == 999 { used.append(try residentBytes()) }
    }
    #expect(used[1] - used[0] < 6 << 20, "\(used)")
  }
}

/// Lets a replay, which has no planner of its own, plan an ensemble.
private final class PlannedEnsemble: Drafter {
  let name = "planned"
  private let ensemble: EnsembleDrafter

  init(_ ensemble: EnsembleDrafter) { self.ensemble = ensemble }

  func begin(_ context: DraftContext) { ensemble.begin(context) }

  func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) {
    guard let planner = ensemble.planner else { return }
    let planned = planner.budget(for: ensemble, context: context, limit: budget)
    ensemble.propose(planned, context: context, into: &tree)
    planner.prune(&tree)
  }

  func observe(_ step: DraftObservation, context: DraftContext) {
    ensemble.observe(step, context: context)
    ensemble.planner?.observe(
      PlannedStep(
        position: step.position, tree: step.tree, accepted: step.accepted, emitted: step.emitted,
        draftMicroseconds: 1,
        forwardMicroseconds: CostCurve.eightCores.microseconds(rows: 1 + step.tree.count)))
  }
}

/// Bytes of the process that are in memory.
private func residentBytes() throws -> Int {
  let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
  return (Int(fields[1]) ?? 0) * 4096
}

@Suite struct WorkShiftTests {
  @Test("a look-up that is not worth its time works less and less, and at once again when it is")
  func shifts() {
    var shift = WorkShift()
    var worked = 0
    for _ in 0..<20_000 {
      if !shift.isResting { worked += 1 }
      shift.pass(isWorthIt: false)
    }
    #expect((96..<1200).contains(worked), "\(worked)")
    while shift.isResting { shift.pass(isWorthIt: true) }
    for _ in 0..<1000 {
      shift.pass(isWorthIt: true)
      #expect(!shift.isResting)
    }
    var rested = 0
    for _ in 0..<200 {
      shift.pass(isWorthIt: false)
      rested += shift.isResting ? 1 : 0
    }
    #expect(rested > 100 && rested < 200)
  }
}
