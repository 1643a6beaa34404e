/// Drafts as much as pays: by what a pass costs on this machine and how often this drafter's nodes
/// are accepted, both measured while decoding.
///
/// A step that runs n drafted nodes gives 1 + Σ aᵢ tokens on average (aᵢ: the probability that node
/// i and all above it are accepted) and takes C(1 + n) + D (pass and proposal). The planner takes
/// the n best nodes such that Σ aᵢ - r · (C(1 + n) + D) is largest, where r is the recent rate of
/// tokens, but not below plain decoding's and not above the best that this step can reach: a step
/// that drafts well may run more than its own best ratio says, because the steps after it are worth
/// less. Where no n beats n = 0 by a margin, the step is plain.
///
/// What is proposed and not run is not lost: under coupled verification the target's own tokens,
/// now and in later steps, say whether it would have been accepted. So a drafter of table look-ups
/// proposes in every step and is judged in every step, whether or not its nodes are run, and
/// drafting begins again as soon as it pays. A drafter that runs a model is asked for as many levels
/// as pay (`DrafterRecord` knows how its proposals fared), and where none do, now and then for a
/// look that `ProbeAllowance` bounds.
///
/// Deterministic: time enters through `observe` only. A decision takes microseconds.
final class MeasuredPlanner: SharingPlanner {
  /// Steps that a drafter's catching-up may be paid back in: these, and one for every four tokens
  /// written so far, since a text that has lasted will last.
  private static let horizon = (least: 4.0, perToken: 0.25)
  /// Proposals after which a drafter's time is known; the first ones fill its caches.
  private static let trials = 8
  private static let mostWalks = 16

  var explains = false
  private(set) var plan: StepPlan?
  /// Tokens that the step is expected to give: 1 and the acceptances of the nodes that are run.
  private(set) var expectedTokens = 1.0

  let costs: CostModel
  private let record: DrafterRecord
  private var acceptance = AcceptanceTable(memory: StepEconomy.memory)
  private var walks: [ShadowWalk] = []
  private var economy = StepEconomy()
  private var recentGain = 0.0
  private var step = Step()
  // Scratch.
  private var values: [Float] = []
  private var order: [Int] = []
  private var sums: [Double] = []
  private var prices: [Double] = []

  /// What is decided of the step that is under way.
  private struct Step {
    var position = 0
    var load = PassLoad.alone
    var wasAsked = false
    var isProbe = false
    var isCharged = false
    var price: DraftPrice?
    var proposed: TokenTree?
  }

  /// - Parameters:
  ///   - costs: of the target's passes.
  ///   - record: what is known of the drafter.
  init(costs: CostModel, record: DrafterRecord) {
    self.costs = costs
    self.record = record
  }

  /// Microseconds of a pass with so many drafted nodes of this sequence, and of learning from it.
  private func cost(_ nodes: Int) -> Double {
    costs.microseconds(
      rows: step.load.sequences + step.load.promptRows + nodes, position: step.position,
      sequences: step.load.sequences)
      + record.learning.row * Double(nodes)
  }

  /// Microseconds of a token of plain decoding: this sequence's share of the pass.
  private var tokenMicroseconds: Double { cost(0) / Double(step.load.sequences) }

  // MARK: Before the proposal

  func budget(
    for drafter: any Drafter, context: DraftContext, limit: DraftBudget
  ) -> DraftBudget {
    step = Step(position: context.position, load: context.load)
    expectedTokens = 1
    plan = nil
    guard !limit.isEmpty else { return limit }
    let runsModel = drafter.requirements.runsModel
    let budget =
      runsModel || context.needsDistributions
      ? sizedBudget(drafter, context, limit, runsModel: runsModel) : freeBudget(limit)
    step.wasAsked = !budget.isEmpty
    if explains {
      let note = step.isProbe ? "asked to look again" : step.wasAsked ? nil : "does not pay now"
      var member = StepPlan.Member(drafter: drafter.name, wasAsked: step.wasAsked, note: note)
      member.levels = runsModel && step.wasAsked ? budget.depth : nil
      plan = StepPlan(plainMicroseconds: cost(0), members: [member])
    }
    return budget
  }

  private func explain(_ chosen: StepEconomy.Choice, proposed: Int) {
    guard var plan, !plan.members.isEmpty else { return }
    plan.members[0].proposed = proposed
    plan.members[0].kept = chosen.count
    plan.decide(chosen, sums: sums, prices: prices)
    self.plan = plan
  }

  /// Proposals that cost next to nothing are always made, others if they lead to something.
  private func freeBudget(_ limit: DraftBudget) -> DraftBudget {
    let price = record.proposalMicroseconds ?? 0
    let single = tokenMicroseconds
    let isKnown = record.proposals >= Self.trials
    if !isKnown || price <= 0.002 * single || recentGain * single >= price { return limit }
    guard record.probes.allowsTime(price) else { return DraftBudget(nodes: 0, depth: 0) }
    step.isCharged = true
    return limit
  }

  /// As many levels (or nodes, where what is drawn must be run) as pay on average.
  private func sizedBudget(
    _ drafter: any Drafter, _ context: DraftContext, _ limit: DraftBudget, runsModel: Bool
  ) -> DraftBudget {
    let price = price(of: drafter, context, runsModel: runsModel)
    // What is drawn is run as it is, so a level costs as many rows as it has nodes.
    let width = context.needsDistributions ? max(record.width, 1) : 1
    let most = min(limit.depth, max(Int(Double(limit.nodes) / width), 1))
    // Catching up on a whole prompt is an investment, on a few tokens a part of the step.
    let isInvestment = price.catchUp > 2 * price.level && runsModel
    let once = isInvestment ? 0 : price.catchUp
    loadPrices(most, width: width) { once * ($0 > 0 ? 1 : 0) + price.level * Double($0) }
    loadLevels(most, prior: runsModel ? 0.8 : 0.5)
    let chosen = economy.choose(sums: sums, prices: prices, sequences: step.load.sequences)
    var count = chosen.count
    if isInvestment {
      let left = Double(context.remaining) / (1 + sums[count])
      if chosen.gain * min(payback(context), left) < chosen.rate * price.catchUp { count = 0 }
    }
    step.price = price
    if count == 0 {
      // What this generation has seen grows old; what all of them have seen takes its place.
      acceptance.fadeLevels(1 - 1 / 256)
      count = probeSize(most)
      var expected = price.catchUp + price.level * Double(count)
      if context.needsDistributions { expected += prices[count] - prices[0] }
      guard record.probes.allows(price: expected) else { return DraftBudget(nodes: 0, depth: 0) }
      record.probes.pay(expected)
      step.isProbe = true
    }
    let nodes = Int((Double(count) * width).rounded())
    var budget = DraftBudget(
      nodes: context.needsDistributions
        ? min(nodes, limit.nodes) : affordable(limit.nodes, levels: count, rate: chosen.rate),
      depth: count)
    if runsModel, !step.isProbe {
      let perNode = price.level + (cost(count) - cost(0)) / Double(count)
      budget.leastPathProbability = Float(min(chosen.rate * perNode, 0.9))
    }
    return budget
  }

  /// As many nodes as would pay if every level gave a token: a larger tree is never worth its rows.
  private func affordable(_ limit: Int, levels: Int, rate: Double) -> Int {
    var nodes = min(levels, limit)
    while nodes < limit, rate * (cost(nodes + 1) - cost(0)) <= Double(levels) { nodes += 1 }
    return nodes
  }

  private func payback(_ context: DraftContext) -> Double {
    let written = Double(context.tokens.count - context.promptCount)
    return Self.horizon.least + Self.horizon.perToken * written
  }

  private func price(
    of drafter: any Drafter, _ context: DraftContext, runsModel: Bool
  ) -> DraftPrice {
    if let price = drafter.price(context) {
      return DraftPrice(
        catchUp: price.catchUp * record.priceRatio, level: price.level * record.priceRatio)
    }
    let learned = record.proposalMicroseconds ?? (runsModel ? cost(0) / 4 : 0)
    return runsModel
      ? DraftPrice(catchUp: 0, level: learned) : DraftPrice(catchUp: learned, level: 0)
  }

  /// Expected accepted tokens of a proposal of n levels, by what became of earlier proposals.
  private func loadLevels(_ most: Int, prior: Float) {
    sums.removeAll(keepingCapacity: true)
    sums.append(0)
    var path = 1.0
    for level in 0..<most {
      let shared = record.acceptance.estimate(level: level, prior: prior)
      path *= Double(acceptance.refine(shared, level: level))
      sums.append(sums[level] + path)
    }
  }

  /// Levels that a look asks for: those that would pay if drafts were good.
  private func probeSize(_ most: Int) -> Int {
    sums.removeAll(keepingCapacity: true)
    var path = 1.0
    var sum = 0.0
    for _ in 0...most {
      sums.append(sum)
      path *= 0.85
      sum += path
    }
    return max(economy.choose(sums: sums, prices: prices, sequences: step.load.sequences).count, 1)
  }

  // MARK: Choosing

  /// Fills `prices` for 0...most levels of so many nodes: pass and proposal.
  private func loadPrices(_ most: Int, width: Double = 1, proposal: (Int) -> Double) {
    prices.removeAll(keepingCapacity: true)
    for count in 0...most {
      let nodes = width == 1 ? count : Int((Double(count) * width).rounded())
      prices.append(cost(nodes) + proposal(count))
    }
  }

  // MARK: After the proposal

  func prune(_ tree: inout TokenTree) {
    guard !tree.isEmpty else { return recordGain(0) }
    step.proposed = tree
    loadValues(tree)
    sums.removeAll(keepingCapacity: true)
    sums.append(0)
    for node in order { sums.append(sums[sums.count - 1] + Double(values[node])) }
    loadPrices(tree.count) { _ in 0 }
    let chosen = economy.choose(sums: sums, prices: prices, sequences: step.load.sequences)
    recordGain(chosen.gain)
    expectedTokens = 1 + sums[chosen.count]
    if explains { explain(chosen, proposed: tree.count) }
    if chosen.count == 0 { tree.removeAll() } else { tree.keep(chosen.count, by: values) }
  }

  func offer(_ tree: TokenTree, values: inout [Float]) {
    values.removeAll(keepingCapacity: true)
    guard !tree.isEmpty else { return recordGain(0) }
    step.proposed = tree
    loadValues(tree)
    for node in order { values.append(self.values[node]) }
  }

  func keep(_ count: Int, of tree: inout TokenTree) {
    let kept = order.prefix(count).reduce(0) { $0 + Double(values[$1]) }
    expectedTokens = 1 + kept
    // What the kept nodes gain by this sequence's account: what more proposals may cost.
    recordGain(max(kept - (cost(count) - cost(0)) / tokenMicroseconds, 0))
    if count == 0 { tree.removeAll() } else { tree.keep(count, by: values) }
  }

  private func recordGain(_ gain: Double) {
    recentGain += (gain - recentGain) / StepEconomy.memory
  }

  /// Sets `values` to the probability that each node's whole path is accepted, and `order` to the
  /// nodes from the best on; nodes of equal value keep their order, so that parents come first.
  private func loadValues(_ tree: TokenTree) {
    values.removeAll(keepingCapacity: true)
    var isSorted = true
    for node in 0..<tree.count {
      let parent = Int(tree.parents[node])
      let own = estimate(tree, node)
      values.append(parent < 0 ? own : own * values[parent])
      if node > 0, values[node] > values[node - 1] { isSorted = false }
    }
    order.removeAll(keepingCapacity: true)
    order.append(contentsOf: values.indices)
    if !isSorted { order.sort { (values[$0], $1) > (values[$1], $0) } }
  }

  private func estimate(_ tree: TokenTree, _ node: Int) -> Float {
    let (depth, rank) = (tree.depths[node], tree.ranks[node])
    let probability = tree.probabilities[node]
    let shared = record.acceptance.estimate(depth: depth, rank: rank, probability: probability)
    return acceptance.refine(shared, depth: depth, rank: rank, probability: probability)
  }

  // MARK: After the step

  func observe(_ planned: PlannedStep) {
    let nodes = planned.tree.count
    step.position = planned.position
    // What a shared pass cost is the forest planner's to learn.
    if planned.load == .alone {
      costs.observe(
        rows: 1 + nodes, position: planned.position, microseconds: planned.forwardMicroseconds)
    }
    let sequences = Double(planned.load.sequences)
    record.probes.passStep(microseconds: planned.forwardMicroseconds / sequences)
    let tree = step.proposed ?? planned.tree
    if step.wasAsked { learnPrice(planned.draftMicroseconds, depth: tree.depth) }
    record.learning.observe(planned.learningMicroseconds, nodes: nodes)
    follow(planned.emitted, tree)
    economy.observe(
      tokens: planned.emitted.count,
      microseconds: cost(nodes) / sequences + proposalPrice(depth: tree.depth))
    step = Step()
  }

  /// What this step's proposal cost, without what was caught up on.
  private func proposalPrice(depth: Int) -> Double {
    guard step.wasAsked else { return 0 }
    if let price = step.price { return price.level * Double(depth) }
    return record.proposalMicroseconds ?? 0
  }

  private func learnPrice(_ measured: Double, depth: Int) {
    if step.isCharged, measured > 0 { record.probes.payTime(measured) }
    record.learnPrice(measured, expected: step.price, depth: depth)
  }

  /// Judges what was proposed, now and earlier, by the tokens that came out.
  private func follow(_ emitted: [Int32], _ tree: TokenTree) {
    if !tree.isEmpty {
      var walk = ShadowWalk(tree: tree)
      record.width += (Double(tree.count) / Double(tree.depth) - record.width) / 16
      if step.isProbe, let price = step.price {
        let spent = cost(tree.count) - cost(0) + price.level * Double(tree.depth)
        walk.breakEven = spent / tokenMicroseconds
      }
      walks.append(walk)
    }
    for index in walks.indices {
      let before = walks[index].accepted.count
      walks[index].advance(emitted) { tree, node, accepted in
        let (depth, rank) = (tree.depths[node], tree.ranks[node])
        let probability = tree.probabilities[node]
        acceptance.record(depth: depth, rank: rank, probability: probability, accepted: accepted)
        record.acceptance.record(
          depth: depth, rank: rank, probability: probability, accepted: accepted)
      }
      settle(walks[index], from: before)
    }
    walks.removeAll { $0.isOver }
    if walks.count > Self.mostWalks { walks.removeFirst() }
  }

  /// Counts the levels that the walk has got to know, and what a look has shown.
  private func settle(_ walk: ShadowWalk, from before: Int) {
    for level in before..<walk.accepted.count { record(level: level, accepted: true) }
    guard walk.isOver else { return }
    if walk.isMissed { record(level: walk.accepted.count, accepted: false) }
    if let breakEven = walk.breakEven {
      record.probes.learn(gained: Double(walk.accepted.count) > breakEven)
    }
  }

  private func record(level: Int, accepted: Bool) {
    acceptance.record(level: level, accepted: accepted)
    record.acceptance.record(level: level, accepted: accepted)
  }
}

/// Follows a proposal along the tokens that the target gives, through as many steps as it takes.
struct ShadowWalk {
  let tree: TokenTree
  /// Accepted nodes that pay for the proposal, where it was a look.
  var breakEven: Double?
  private(set) var accepted: [Int] = []
  private(set) var isOver = false
  /// True if the walk ended where no node was the target's token, not at a leaf.
  private(set) var isMissed = false
  private var node = TokenTree.root

  init(tree: TokenTree) { self.tree = tree }

  /// Goes down with `tokens`; calls `judge` for every node whose parent is on the way.
  mutating func advance(
    _ tokens: [Int32], judge: (_ tree: TokenTree, _ node: Int, _ accepted: Bool) -> Void
  ) {
    for token in tokens where !isOver {
      var next = tree.firstChild(below: node)
      var taken: Int?
      while let child = next {
        let isMatch = tree.tokens[child] == token
        judge(tree, child, isMatch)
        if isMatch { taken = child }
        next = tree.sibling(after: child)
      }
      if let taken {
        accepted.append(taken)
        node = taken
      } else {
        isMissed = true
      }
      isOver = taken == nil || tree.firstChild(below: node) == nil
    }
  }
}
