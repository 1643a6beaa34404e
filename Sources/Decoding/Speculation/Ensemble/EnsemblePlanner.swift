/// Plans an ensemble: who is asked, and which of all nodes are run.
///
/// **Nodes.** Each node has, for each of its proposers, the probability that this drafter's nodes of
/// its depth, rank and probability are accepted; the best of these is calibrated once more by who
/// proposed it (`NodeCalibration`). The n best nodes of the merged trie are run, n as in
/// `StepEconomy`.
///
/// **Drafters that run a model** are asked by the value of information: what the step is expected to
/// gain with as many levels as pay, minus what it gains with what is proposed already, the price
/// taken off. How often the levels will be accepted is estimated from how sure the others are of
/// what comes next. Where asking never pays, `ProbeAllowance` allows a look now and then.
///
/// **Look-ups** are asked in every step, as they cost next to nothing. One whose microseconds do
/// count, those of learning among them, works while what it alone contributes (the gain with it minus
/// the gain without) is worth them, and rests else (`WorkShift`).
///
/// Everything proposed is judged by the tokens that come out, run or not, as in `MeasuredPlanner`.
/// Deterministic: time enters through `observe` and `learnPrice` only.
final class EnsemblePlanner: SharingPlanner {
  private static let mostWalks = 16
  /// Steps that catching up may be paid back in: these, and one for every four tokens so far.
  private static let horizon = (least: 4.0, perToken: 0.25)
  /// Share of a pass below which a look-up is not worth thinking about.
  private static let negligible = 0.002

  var explains = false
  private(set) var plan: StepPlan?
  /// Tokens that the step is expected to give.
  private(set) var expectedTokens = 1.0

  let costs: CostModel
  private let record: EnsembleRecord
  private var members: [MemberState]
  private var economy = StepEconomy()
  private var walks: [EnsembleWalk] = []
  private var levelWalks: [LevelWalk] = []
  private var position = 0
  private var load = PassLoad.alone
  private var nodeLimit = 0
  private var proposalMicroseconds = 0.0  // of this step, catching up left out
  private var values = NodeValues()
  private var valuedCount = -1
  private unowned let drafter: EnsembleDrafter
  // Scratch.
  private var sums: [Double] = []
  private var prices: [Double] = []

  /// What is known of a member in this generation, and decided of it in this step.
  private struct MemberState {
    let name: String
    let record: DrafterRecord
    var acceptance = AcceptanceTable(memory: StepEconomy.memory)
    var asked: Asked?
  }

  private struct Asked {
    var levels: Int?
    var price: DraftPrice?
    var isProbe = false
    /// How sure the others were of what comes next.
    var confidence: Float = 0
    /// Tokens that were expected without it.
    var expectedWithout = 0.0
    var microseconds = 0.0
  }

  /// - Parameters:
  ///   - drafter: whose members are planned; holds the planner.
  ///   - costs: of the target's passes.
  ///   - record: what is known of the ensemble.
  ///   - memberRecord: what is known of the drafter of a name.
  init(
    _ drafter: EnsembleDrafter, costs: CostModel, record: EnsembleRecord,
    memberRecord: (String) -> DrafterRecord
  ) {
    self.drafter = drafter
    self.costs = costs
    self.record = record
    members = drafter.memberNames.map { MemberState(name: $0, record: memberRecord($0)) }
  }

  /// Microseconds of a pass with so many drafted nodes of this sequence, and of learning from it.
  private func cost(_ nodes: Int) -> Double {
    costs.microseconds(
      rows: load.sequences + load.promptRows + nodes, position: position,
      sequences: load.sequences) + record.learning.row * Double(nodes)
  }

  /// Microseconds of a token of plain decoding: this sequence's share of the pass.
  private var tokenMicroseconds: Double { cost(0) / Double(load.sequences) }

  private func choose(rate: Double? = nil) -> StepEconomy.Choice {
    guard let rate else {
      return economy.choose(sums: sums, prices: prices, sequences: load.sequences)
    }
    return economy.choose(sums: sums, prices: prices, rate: rate)
  }

  /// What a microsecond is worth in a step that can reach `reachable`.
  private func rate(_ reachable: Double) -> Double {
    economy.rate(
      plain: Double(load.sequences) / prices[0], reachable: reachable, sequences: load.sequences)
  }

  /// The best rate that `sums` and `prices` allow.
  private var reachable: Double {
    StepEconomy.reachable(sums: sums, prices: prices, sequences: load.sequences)
  }

  // MARK: Who is asked

  func budget(
    for drafter: any Drafter, context: DraftContext, limit: DraftBudget
  ) -> DraftBudget {
    position = context.position
    load = context.load
    nodeLimit = limit.nodes
    expectedTokens = 1
    proposalMicroseconds = 0
    valuedCount = -1
    plan = nil
    for index in members.indices { members[index].asked = nil }
    if explains {
      plan = StepPlan(
        plainMicroseconds: cost(0),
        members: members.map {
          StepPlan.Member(drafter: $0.name, wasAsked: false, note: "nothing may be drafted")
        })
    }
    return limit
  }

  /// What a member that looks tables up may propose; nil to pass it over.
  func budget(ofTable index: Int, _ limit: DraftBudget) -> DraftBudget? {
    guard isWorking(index) else {
      explain(index) { $0.note = "rests: what it alone finds is not worth its time" }
      return nil
    }
    members[index].asked = Asked()
    explain(index) { $0.wasAsked = true }
    return limit
  }

  /// False for a look-up that rests: it is not asked, and does not learn.
  func isWorking(_ index: Int) -> Bool { !members[index].record.shift.isResting }

  /// Microseconds of a step with a look-up in it: of asking it and of its learning.
  private func workTime(_ index: Int) -> Double {
    let known = members[index].record
    return (known.proposalMicroseconds ?? 0) + known.learning.step
  }

  /// Learns what a member's learning from a step took.
  func learnLearning(_ index: Int, microseconds: Double, nodes: Int) {
    members[index].record.learning.observe(microseconds, nodes: nodes)
  }

  /// What a member that runs a model may propose; nil to pass it over.
  func budget(
    ofModel index: Int, _ drafter: any Drafter, _ proposal: EnsembleProposal,
    _ context: DraftContext, _ limit: DraftBudget
  ) -> DraftBudget? {
    let known = members[index].record
    let price = known.price(of: drafter, context, unknown: cost(0) / 4)
    let most = min(limit.depth, limit.nodes)
    guard most > 0 else { return nil }
    evaluate(proposal)
    var asked = Asked(price: price, confidence: values.confidence)
    var (with, without) = weigh(index, most, asked, limit)
    asked.expectedWithout = without.tokens
    var value = with.gain - without.gain
    if Self.isInvestment(price) {
      let left = Double(context.remaining) / (1 + sums[with.count])
      value -= with.rate * price.catchUp / max(min(payback(context), left), 1e-9)
    }
    if value <= StepEconomy.margin * (1 + without.tokens) { with.count = 0 }
    explain(index) { $0.valueOfAsking = value }
    if with.count == 0 {
      members[index].acceptance.fadeLevels(1 - 1 / 256)
      with.count = probeSize(most)
      let expected = price.catchUp + price.level * Double(with.count)
      guard known.probes.allows(price: expected) else {
        explain(index) { $0.note = "asking is not worth its price" }
        return nil
      }
      known.probes.pay(expected)
      asked.isProbe = true
    }
    asked.levels = with.count
    members[index].asked = asked
    explain(index) {
      $0.wasAsked = true
      $0.levels = with.count
      $0.note = asked.isProbe ? "asked to look again" : nil
    }
    var budget = DraftBudget(nodes: limit.nodes, depth: with.count)
    if !asked.isProbe {
      let perNode = price.level + (cost(with.count) - cost(0)) / Double(with.count)
      budget.leastPathProbability = Float(min(with.rate * perNode, 0.9))
    }
    return budget
  }

  /// Catching up on a whole prompt is an investment, on a few tokens a part of the step.
  private static func isInvestment(_ price: DraftPrice) -> Bool { price.catchUp > 2 * price.level }

  /// The best choice if the member is asked, and what is gained if it is not. Leaves the sums of the
  /// levels in `sums`.
  private func weigh(
    _ index: Int, _ most: Int, _ asked: Asked, _ limit: DraftBudget
  ) -> (with: StepEconomy.Choice, without: (gain: Double, tokens: Double)) {
    loadNodes(limit.nodes)
    let (ownSums, ownPrices) = (sums, prices)
    let reachableWithout = reachable
    let price = asked.price ?? DraftPrice(catchUp: 0, level: 0)
    let once = Self.isInvestment(price) ? 0 : price.catchUp
    loadPrices(most) { $0 > 0 ? once + price.level * Double($0) : 0 }
    loadLevels(index, most, asked.confidence)
    let rate = rate(max(reachable, reachableWithout))
    let without = economy.choose(sums: ownSums, prices: ownPrices, rate: rate)
    let with = choose(rate: rate)
    return (with, (without.gain, ownSums[without.count]))
  }

  private func payback(_ context: DraftContext) -> Double {
    let written = Double(context.tokens.count - context.promptCount)
    return Self.horizon.least + Self.horizon.perToken * written
  }

  /// Expected accepted tokens of a proposal of n levels.
  private func loadLevels(_ index: Int, _ most: Int, _ confidence: Float) {
    let member = members[index]
    let others = record.confidence[member.name] ?? ConfidenceLevels()
    sums.removeAll(keepingCapacity: true)
    sums.append(0)
    var path = 1.0
    for level in 0..<most {
      let shared = member.record.acceptance.estimate(level: level, prior: 0.8)
      let own = member.acceptance.refine(shared, level: level)
      path *= Double(others.refine(own, level: level, confidence: confidence))
      sums.append(sums[level] + path)
    }
  }

  /// Levels that a look asks for: those that would pay if drafts were good.
  private func probeSize(_ most: Int) -> Int {
    var path = 1.0
    for level in 0..<most {
      path *= 0.85
      sums[level + 1] = sums[level] + path
    }
    return max(choose().count, 1)
  }

  private func loadPrices(_ most: Int, proposal: (Int) -> Double = { _ in 0 }) {
    prices.removeAll(keepingCapacity: true)
    for count in 0...most { prices.append(cost(count) + proposal(count)) }
  }

  /// Learns what a member's proposal took.
  func learnPrice(_ index: Int, microseconds: Double, proposed: TokenTree) {
    let asked = members[index].asked
    members[index].record.learnPrice(
      microseconds, expected: asked?.price, depth: proposed.depth)
    members[index].asked?.microseconds = microseconds
    valuedCount = -1
    // What was caught up on is not what a step costs.
    proposalMicroseconds +=
      asked?.price.map { $0.level * Double(proposed.depth) }
      ?? members[index].record.proposalMicroseconds ?? 0
    explain(index) {
      $0.proposed = proposed.count
      $0.microseconds = microseconds
    }
  }

  // MARK: What is run

  private func evaluate(_ proposal: EnsembleProposal) {
    guard proposal.count != valuedCount else { return }
    valuedCount = proposal.count
    values.load(proposal, calibration: record.calibration) { member, depth, rank, probability in
      let state = members[member]
      let shared = state.record.acceptance.estimate(
        depth: depth, rank: rank, probability: probability)
      return state.acceptance.refine(
        shared, depth: depth, rank: rank, probability: probability)
    }
  }

  /// Loads sums and prices of the best nodes, those left out that `isLeftOut` names.
  private func loadNodes(_ most: Int, isLeftOut: (Int) -> Bool = { _ in false }) {
    sums.removeAll(keepingCapacity: true)
    sums.append(0)
    for node in values.order where sums.count <= most && !isLeftOut(node) {
      sums.append(sums[sums.count - 1] + Double(values.paths[node]))
    }
    loadPrices(sums.count - 1)
  }

  func prune(_ tree: inout TokenTree) {
    evaluateAll()
    loadNodes(nodeLimit)
    let chosen = choose()
    if explains { plan?.decide(chosen, sums: sums, prices: prices) }
    run(chosen.count, &tree)
  }

  func offer(_ tree: TokenTree, values: inout [Float]) {
    evaluateAll()
    values.removeAll(keepingCapacity: true)
    for node in self.values.order.prefix(nodeLimit) { values.append(self.values.paths[node]) }
  }

  func keep(_ count: Int, of tree: inout TokenTree) {
    if explains {
      loadNodes(nodeLimit)
      let rate = rate(reachable)
      let gain = sums[min(count, sums.count - 1)] - rate * (cost(count) - cost(0))
      plan?.decide(
        StepEconomy.Choice(count: min(count, sums.count - 1), gain: gain, rate: rate), sums: sums,
        prices: prices)
    }
    run(count, &tree)
  }

  private func evaluateAll() {
    let proposal = drafter.proposal
    evaluate(proposal)
    learnOwnGains(proposal, most: nodeLimit)
    walks.append(EnsembleWalk(proposal, values))
  }

  /// Makes the tree of the best nodes.
  private func run(_ count: Int, _ tree: inout TokenTree) {
    let kept = values.order.prefix(count).reduce(0) { $0 + Double(values.paths[$1]) }
    expectedTokens = 1 + kept
    drafter.proposal.best(
      count, order: values.order, probabilities: values.estimates, origins: values.best,
      into: &tree)
    guard explains else { return }
    for index in members.indices {
      plan?.members[index].kept = tree.proposers.count { $0 & 1 << UInt32(index) != 0 }
    }
  }

  /// What each member alone contributes, for those whose time counts.
  private func learnOwnGains(_ proposal: EnsembleProposal, most: Int) {
    let least = Self.negligible * tokenMicroseconds
    for index in members.indices {
      guard let asked = members[index].asked, asked.levels == nil,
        workTime(index) > least
      else { continue }
      loadNodes(most)
      let rate = rate(reachable)
      let whole = choose(rate: rate).gain
      loadNodes(most) { proposal.isOnly(index, at: $0) }
      let rest = choose(rate: rate).gain
      let known = members[index].record
      known.ownGain += (max(whole - rest, 0) - known.ownGain) / StepEconomy.memory
    }
  }

  // MARK: After the step

  func observe(_ planned: PlannedStep) {
    let nodes = planned.tree.count
    position = planned.position
    // What a shared pass cost is the forest planner's to learn.
    if planned.load == .alone {
      costs.observe(
        rows: 1 + nodes, position: position, microseconds: planned.forwardMicroseconds)
    }
    load = planned.load
    let sequences = Double(load.sequences)
    for member in members {
      member.record.probes.passStep(microseconds: planned.forwardMicroseconds / sequences)
    }
    record.learning.observe(planned.learningMicroseconds, nodes: nodes)
    for (index, member) in members.enumerated() where !drafter.members[index].runsModel {
      let time = workTime(index)
      let isNegligible = time <= Self.negligible * tokenMicroseconds
      member.record.shift.pass(
        isWorthIt: isNegligible || member.record.ownGain * tokenMicroseconds >= time)
    }
    beginLevelWalks()
    follow(planned.emitted)
    economy.observe(
      tokens: planned.emitted.count, microseconds: cost(nodes) / sequences + proposalMicroseconds)
  }

  /// Follows one member's proposal, level by level.
  private struct LevelWalk {
    let member: Int
    let confidence: Float
    var walk: ShadowWalk
  }

  private func beginLevelWalks() {
    for index in members.indices {
      guard let asked = members[index].asked, asked.levels != nil else { continue }
      let tree = drafter.proposal.trees[index]
      guard !tree.isEmpty else { continue }
      var walk = ShadowWalk(tree: tree)
      if asked.isProbe, let price = asked.price {
        let spent = cost(tree.count) - cost(0) + price.level * Double(tree.depth)
        walk.breakEven = spent / cost(0) + asked.expectedWithout
      }
      levelWalks.append(LevelWalk(member: index, confidence: asked.confidence, walk: walk))
    }
  }

  /// Judges what was proposed, now and earlier, by the tokens that came out.
  private func follow(_ emitted: [Int32]) {
    for index in walks.indices {
      let walk = walks[index]
      walks[index].shadow.advance(emitted) { _, node, accepted in judge(walk, node, accepted) }
    }
    walks.removeAll { $0.shadow.isOver }
    if walks.count > Self.mostWalks { walks.removeFirst() }
    for index in levelWalks.indices {
      let before = levelWalks[index].walk.accepted.count
      levelWalks[index].walk.advance(emitted) { _, _, _ in }
      settle(levelWalks[index], from: before)
    }
    levelWalks.removeAll { $0.walk.isOver }
    if levelWalks.count > Self.mostWalks { levelWalks.removeFirst() }
  }

  private func judge(_ walk: EnsembleWalk, _ node: Int, _ accepted: Bool) {
    let proposal = walk.proposal
    for member in members.indices {
      guard let own = proposal.node(node, of: member) else { continue }
      let tree = proposal.trees[member]
      let (depth, rank) = (tree.depths[own], tree.ranks[own])
      let probability = tree.probabilities[own]
      members[member].acceptance.record(
        depth: depth, rank: rank, probability: probability, accepted: accepted)
      members[member].record.acceptance.record(
        depth: depth, rank: rank, probability: probability, accepted: accepted)
    }
    record.calibration.record(
      proposers: proposal.tree.proposers[node], estimate: walk.values.own[node],
      isBest: walk.values.isBest[node], accepted: accepted)
  }

  private func settle(_ level: LevelWalk, from before: Int) {
    let walk = level.walk
    for index in before..<walk.accepted.count { count(level, index, accepted: true) }
    guard walk.isOver else { return }
    if walk.isMissed { count(level, walk.accepted.count, accepted: false) }
    if let breakEven = walk.breakEven {
      members[level.member].record.probes.learn(gained: Double(walk.accepted.count) > breakEven)
    }
  }

  private func count(_ walk: LevelWalk, _ level: Int, accepted: Bool) {
    members[walk.member].acceptance.record(level: level, accepted: accepted)
    members[walk.member].record.acceptance.record(level: level, accepted: accepted)
    record.confidence[members[walk.member].name, default: ConfidenceLevels()].record(
      level: level, confidence: walk.confidence, accepted: accepted)
  }

  // MARK: Explaining

  private func explain(_ index: Int, _ change: (inout StepPlan.Member) -> Void) {
    guard explains, var member = plan?.members[index] else { return }
    member.note = nil
    change(&member)
    plan?.members[index] = member
  }
}
