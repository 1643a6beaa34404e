import Foundation
import Transformers

/// Medusa and Hydra: small trained heads on the target's last hidden state draft the next tokens.
///
/// Cai et al., "Medusa: Simple LLM Inference Acceleration Framework with Multiple Decoding Heads",
/// arXiv 2401.10774: each head guesses by itself. Ankner et al., "Hydra: Sequentially-Dependent Draft
/// Heads for Medusa Decoding", arXiv 2402.05109: each head also sees the tokens drafted before.
///
/// Guarantee: bitwise; heads decide about speed alone. Cost: Medusa one product of each head per step;
/// Hydra one for each level and node that is expanded; the model's head is restricted to the tokens
/// that the heads were trained with.
final class HeadsDrafter: Drafter {
  /// Nodes of a step where nothing says another number.
  static let defaultNodes = 8
  /// Nodes of a level below which Hydra looks, and Medusa repeats its guesses.
  private static let expandedNodes = 6
  private static let mostChildren = 10

  let name: String
  let requirements = DrafterRequirements(taps: [.finalNorm], runsModel: true)
  private let heads: DraftHeads
  private let usesStaticTree: Bool
  private var state: [Float] = []
  private var statePosition = -1

  init(_ heads: DraftHeads, usesStaticTree: Bool) {
    self.heads = heads
    name = heads.file.method
    self.usesStaticTree = usesStaticTree
  }

  /// Loads the heads, once for all generations of the model.
  /// - Throws: `DraftHeadsError`, `CheckpointError`.
  convenience init(_ setup: DrafterSetup, method: String) throws {
    guard let engine = setup.target else {
      throw DraftHeadsError.missing(method: method, searched: [])
    }
    let named = setup.options.heads
    let heads = try setup.modelMemory.value("heads \(method) \(named ?? "")") {
      let path = try HeadsLocation.path(
        method: method, named: named, modelBytes: engine.model.fileBytes)
      let file = try DraftHeadsFile(path: path)
      guard file.method == method else {
        throw DraftHeadsError.otherMethod(path: path, found: file.method, expected: method)
      }
      return try DraftHeads(file, path: path, engine: engine)
    }
    self.init(heads, usesStaticTree: setup.options.usesStaticTree)
  }

  func observe(_ step: DraftObservation, context: DraftContext) {
    guard let tap = step.taps.first else { return }
    let size = heads.file.hiddenSize
    let row = step.accepted.last.map { Int($0) + 1 } ?? 0
    guard tap.count >= (row + 1) * size else { return statePosition = -1 }
    state = Array(tap[row * size..<(row + 1) * size])
    statePosition = context.position
  }

  func propose(
    _ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree
  ) throws {
    guard statePosition == context.position, let root = context.tokens.last else { return }
    let isSequential = heads.file.method == "hydra"
    var level = [TokenTree.root]
    for depth in 0..<min(heads.count, budget.depth) {
      let expanded = Array(level.prefix(Self.expandedNodes))
      let count = min(budget.nodes, Self.mostChildren)
      let guesses: [[(token: Int32, probability: Float)]]
      if isSequential {
        let inputs = try expanded.flatMap { node in
          try ([root] + tree.path(to: node)).reduce(into: state) {
            $0 += try heads.embedding(of: $1)
          }
        }
        guesses = try heads.candidates(depth, inputs, batch: expanded.count, count: count)
      } else {
        let own = try heads.candidates(depth, state, batch: 1, count: count)
        guesses = expanded.map { _ in own[0] }
      }
      level = append(guesses, below: expanded, depth: depth, to: &tree)
      level.removeAll { tree.pathProbabilities[$0] < budget.leastPathProbability }
      if level.isEmpty { break }
    }
    tree.keep(budget.nodes, by: tree.pathProbabilities)
  }

  /// Adds the guesses and gives the new nodes, likeliest paths first.
  private func append(
    _ guesses: [[(token: Int32, probability: Float)]], below parents: [Int], depth: Int,
    to tree: inout TokenTree
  ) -> [Int] {
    var nodes: [Int] = []
    for (parent, tokens) in zip(parents, guesses) {
      for (rank, guess) in tokens.enumerated() {
        let measured = heads.file.accuracy[depth]
        let probability =
          usesStaticTree ? (rank < measured.count ? Float(measured[rank]) : 0) : guess.probability
        guard probability > 0 else { continue }
        nodes.append(tree.append(guess.token, below: parent, probability: probability))
      }
    }
    return nodes.sorted {
      (tree.pathProbabilities[$1], $0) < (tree.pathProbabilities[$0], $1)
    }
  }
}

/// Where heads are found.
enum HeadsLocation {
  /// The file that was named, or the one for the model in the folder `Artifacts` of the working
  /// folder or of a folder above the program.
  ///
  /// - Throws: `DraftHeadsError.missing`.
  static func path(method: String, named path: String?, modelBytes: Int) throws -> String {
    if let path { return path }
    var searched: [String] = []
    for folder in folders {
      let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
      let fitting = files.filter { $0.hasPrefix("\(method)-") && $0.hasSuffix(".safetensors") }
      for name in fitting.sorted() {
        let path = "\(folder)/\(name)"
        if let file = try? DraftHeadsFile(path: path), file.modelBytes == modelBytes { return path }
      }
      searched.append("\(folder)/\(method)-*.safetensors")
    }
    throw DraftHeadsError.missing(method: method, searched: Array(searched.prefix(2)))
  }

  private static var folders: [String] {
    var folders = ["Artifacts"]
    var folder = URL(filePath: CommandLine.arguments.first ?? ".").resolvingSymlinksInPath()
    for _ in 0..<5 {
      folder = folder.deletingLastPathComponent()
      folders.append(folder.appending(path: "Artifacts").path(percentEncoded: false))
    }
    return folders
  }
}

extension DrafterKind {
  /// Medusa or Hydra heads.
  static func heads(_ method: String) -> DrafterKind {
    DrafterKind(name: method, defaultNodes: HeadsDrafter.defaultNodes) {
      try HeadsDrafter($0, method: method)
    }
  }
}
