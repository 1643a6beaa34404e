import Foundation
import Transformers

/// Token Recycling: remembers which tokens the target held likely after each token, and drafts a
/// tree of fixed shape from that table (Luo et al., "Turning Trash into Treasure: Accelerating
/// Inference of Large Language Models with Token Recycling", arXiv 2408.08696).
///
/// Every row that a pass computes, accepted or not, gives the table the successors of its token, so
/// the rejected part of a tree pays for later ones. The table is the model's: it stays warm from one
/// generation to the next.
///
/// Guarantee: bitwise. Cost: `RecyclingMatrix` (4 · successors bytes for each token of the
/// vocabulary), and one scan of the logits for each row.
final class RecyclingDrafter: Drafter {
  let name = "recycling"
  let state: RecyclingState
  private let settings: RecyclingSettings
  private let path: String?
  private var proposed = TokenTree()
  private var proposedAt = -1  // position of the first node of `proposed`
  private var places: [Int] = []  // template node -> node of `proposed`, -1 where there is none

  init(settings: RecyclingSettings, state: RecyclingState, path: String? = nil) {
    self.settings = settings
    self.state = state
    self.path = path
  }

  convenience init(_ setup: DrafterSetup, settings: RecyclingSettings) throws {
    let successors = min(settings.successors, setup.vocabularyCount)
    let path = setup.options.draftMemory
    let make = {
      RecyclingState(
        matrix: try Self.matrix(setup, successors: successors), template: settings.template)
    }
    var state: RecyclingState
    if settings.keepsMatrix {
      state = try setup.modelMemory.value("recycling \(successors) \(path ?? "")", make: make)
      if state.template != settings.template {
        state = RecyclingState(matrix: state.matrix, template: settings.template)
      }
    } else {
      state = try make()
    }
    self.init(settings: settings, state: state, path: path)
  }

  private static func matrix(_ setup: DrafterSetup, successors: Int) throws -> RecyclingMatrix {
    if let path = setup.options.draftMemory, FileManager.default.fileExists(atPath: path) {
      return try RecyclingMatrix(
        path: path, vocabularyCount: setup.vocabularyCount, successorCount: successors)
    }
    return RecyclingMatrix(
      vocabularyCount: setup.vocabularyCount, successorCount: successors)
  }

  func begin(_ context: DraftContext) {
    guard settings.seedsFromPrompt else { return }
    let prompt = context.tokens.prefix(context.promptCount)
    for (token, next) in zip(prompt, prompt.dropFirst()) {
      state.matrix.seed(token, with: next)
    }
  }

  func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) {
    guard let root = context.tokens.last else { return }
    let template = state.template
    places = [Int](repeating: -1, count: template.count)
    for node in state.order {
      guard tree.count < budget.nodes else { break }
      let parent = template.parents[node]
      guard template.depths[node] < budget.depth, parent < 0 || places[parent] >= 0 else {
        continue
      }
      let below = parent < 0 ? TokenTree.root : places[parent]
      let token = parent < 0 ? root : tree.tokens[below]
      guard let next = state.matrix.successor(of: token, rank: template.ranks[node]) else {
        continue
      }
      places[node] = tree.append(next, below: below, probability: state.acceptance(of: node))
    }
    proposed = tree
    proposedAt = context.position
  }

  func observe(_ step: DraftObservation, context: DraftContext) {
    // Where others drafted, nothing is known of the template.
    if !step.tree.isEmpty, step.position == proposedAt {
      state.count(step, proposed: proposed, places: places)
      if settings.learnsTemplate { state.sortByAcceptance() }
    }
    guard step.position > 0, step.position <= context.tokens.count else { return }
    let root = context.tokens[step.position - 1]
    // The accepted rows come last: where a token is in the tree twice, the row of the text stays.
    if settings.updatesAllRows {
      let accepted = Set(step.accepted)
      for node in 0..<step.tree.count where !accepted.contains(Int32(node)) {
        learn(node, step.tree.tokens[node], step)
      }
    }
    learn(TokenTree.root, root, step)
    for node in step.accepted { learn(Int(node), step.tree.tokens[Int(node)], step) }
  }

  func end() throws {
    if let path { try state.matrix.save(to: path) }
  }

  private func learn(_ node: Int, _ token: Int32, _ step: DraftObservation) {
    let successors = step.logits.topTokens(after: node, count: state.matrix.successorCount)
    state.matrix.learn(token, successors: successors)
  }
}

/// How `recycling` drafts.
public struct RecyclingSettings: Sendable, Equatable {
  /// Successors kept for each token: k, 1 to 16.
  public var successors: Int
  /// Shape of the tree.
  public var template: RecyclingTemplate
  /// True to learn from every row of a tree, false from the accepted ones only.
  public var updatesAllRows: Bool
  /// True to begin the rows of tokens that the target was never seen with by the prompt's bigrams.
  public var seedsFromPrompt: Bool
  /// True to keep the table from one generation to the next ("hot start").
  public var keepsMatrix: Bool
  /// True to order the nodes of the template by how often each was accepted so far, so that small
  /// budgets get the best of them; false for the order measured in advance.
  public var learnsTemplate: Bool

  /// The paper's settings, and the prompt's bigrams.
  public init(
    successors: Int = 8, template: RecyclingTemplate = .paper, updatesAllRows: Bool = true,
    seedsFromPrompt: Bool = true, keepsMatrix: Bool = true, learnsTemplate: Bool = false
  ) {
    self.successors = min(max(successors, 1), 16)
    self.template = template
    self.updatesAllRows = updatesAllRows
    self.seedsFromPrompt = seedsFromPrompt
    self.keepsMatrix = keepsMatrix
    self.learnsTemplate = learnsTemplate
  }
}

extension DrafterKind {
  /// Token Recycling (arXiv 2408.08696): a tree of the successors that the target gave before.
  public static func recycling(_ settings: RecyclingSettings = .init()) -> DrafterKind {
    DrafterKind(
      name: "recycling", defaultNodes: settings.template.count, keepsMemory: true
    ) { try RecyclingDrafter($0, settings: settings) }
  }
}

/// The shape of a tree: each node is the successor of a certain rank of its parent's token.
public struct RecyclingTemplate: Sendable, Equatable {
  /// Parent of each node: an earlier node, or -1 for the root.
  public let parents: [Int]
  /// Which successor of its parent's token each node holds, 0 for the likeliest.
  public let ranks: [Int]
  /// Number of ancestors of each node, 0 below the root.
  public let depths: [Int]
  /// Number of nodes.
  public var count: Int { parents.count }

  /// A shape, as the number of children of the nodes that have some. Children have the ranks from
  /// 0; a node is written as the ranks on the way to it, the root as an empty path. Nodes are in
  /// order of their depths. Paths that the shape does not have are ignored.
  public init(children: [[Int]: Int]) {
    var parents: [Int] = []
    var ranks: [Int] = []
    var depths: [Int] = []
    var level: [(path: [Int], node: Int)] = [([], -1)]
    while !level.isEmpty {
      var next: [(path: [Int], node: Int)] = []
      for (path, node) in level {
        for rank in 0..<max(children[path] ?? 0, 0) {
          next.append((path + [rank], parents.count))
          parents.append(node)
          ranks.append(rank)
          depths.append(path.count)
        }
      }
      level = next
    }
    self.parents = parents
    self.ranks = ranks
    self.depths = depths
  }

  /// The 80 nodes that the authors released.
  public static let paper = RecyclingTemplate(children: [
    []: 8,
    [0]: 8, [1]: 4, [2]: 3, [3]: 2, [4]: 1, [5]: 1, [6]: 1, [7]: 1,
    [0, 0]: 8, [0, 1]: 3, [0, 2]: 2, [0, 3]: 1, [0, 4]: 1, [0, 5]: 1, [0, 6]: 1, [0, 7]: 1,
    [1, 0]: 2, [1, 1]: 1, [2, 0]: 1, [3, 0]: 1, [4, 0]: 1, [5, 0]: 1,
    [0, 0, 0]: 5, [0, 0, 1]: 2, [0, 0, 2]: 1, [0, 0, 3]: 1, [0, 0, 4]: 1, [0, 1, 0]: 1,
    [0, 2, 0]: 1, [1, 0, 0]: 1, [2, 0, 0]: 1, [3, 0, 0]: 1,
    [0, 0, 0, 0]: 3, [0, 0, 0, 1]: 1, [0, 0, 0, 2]: 1, [0, 0, 1, 0]: 1, [0, 1, 0, 0]: 1,
    [1, 0, 0, 0]: 1,
    [0, 0, 0, 0, 0]: 2, [0, 0, 0, 1, 0]: 1,
  ])
}

/// What recycling keeps between generations: the table, and how often each node was accepted.
final class RecyclingState {
  let matrix: RecyclingMatrix
  let template: RecyclingTemplate
  /// Nodes of the template, best first; a parent comes before its children, so that any beginning
  /// of it is a tree.
  private(set) var order: [Int]
  private var runs: [Float]
  private var acceptances: [Float]

  /// Share of the successors of each rank that were accepted, where the parent was; what a node is
  /// held to be worth before it was seen. Measured on 18 answers of SmolLM2-135M to questions of
  /// Spec-Bench (0.366, 0.127, 0.051, 0.037, 0.019, 0.026, 0.024, 0.009) and smoothed.
  static let acceptanceByRank: [Float] = [0.37, 0.13, 0.05, 0.037, 0.025, 0.023, 0.02, 0.01]
  /// Weight of that share, in observations.
  private static let priorWeight: Float = 16

  init(matrix: RecyclingMatrix, template: RecyclingTemplate) {
    self.matrix = matrix
    self.template = template
    runs = template.ranks.map { _ in Self.priorWeight }
    acceptances = template.ranks.map { rank in
      Self.priorWeight * (rank < Self.acceptanceByRank.count ? Self.acceptanceByRank[rank] : 0.01)
    }
    order = []
    sortByAcceptance()
  }

  /// How often the node was accepted where its parent was.
  func acceptance(of node: Int) -> Float { acceptances[node] / runs[node] }

  /// Counts which nodes had their parent accepted, and were themselves.
  ///
  /// - Parameters:
  ///   - proposed: the tree before the planner pruned it.
  ///   - places: node of `proposed` for each node of the template, -1 where there is none.
  func count(_ step: DraftObservation, proposed: TokenTree, places: [Int]) {
    var templateNode = [Int](repeating: -1, count: proposed.count)
    for (node, place) in places.enumerated() where place >= 0 && place < proposed.count {
      templateNode[place] = node
    }
    let accepted = Set(step.accepted)
    var known: [Int] = []  // node of the step's tree -> node of `proposed`
    for node in 0..<step.tree.count {
      let parent = step.tree.parents[node]
      let above = parent < 0 ? TokenTree.root : known[Int(parent)]
      guard parent < 0 || above >= 0,
        let place = proposed.child(of: above, token: step.tree.tokens[node])
      else {
        known.append(-1)
        continue
      }
      known.append(place)
      guard parent < 0 || accepted.contains(parent), templateNode[place] >= 0 else { continue }
      runs[templateNode[place]] += 1
      if accepted.contains(Int32(node)) { acceptances[templateNode[place]] += 1 }
    }
  }

  /// Orders the nodes by the product of the acceptances on the way to each; of equal ones the
  /// earlier of the template comes first.
  func sortByAcceptance() {
    var values: [Float] = []
    for node in 0..<template.count {
      let parent = template.parents[node]
      values.append(acceptance(of: node) * (parent < 0 ? 1 : values[parent]))
    }
    order = values.indices.sorted { (values[$1], $0) < (values[$0], $1) }
  }

  /// Counts by node, for measurements: how often its parent was accepted while it was run, and how
  /// often it was accepted then.
  var counts: [(runs: Int, acceptances: Int)] {
    template.ranks.indices.map { node in
      let rank = template.ranks[node]
      let share = rank < Self.acceptanceByRank.count ? Self.acceptanceByRank[rank] : 0.01
      return (
        Int(runs[node] - Self.priorWeight),
        Int((acceptances[node] - Self.priorWeight * share).rounded())
      )
    }
  }
}
