import ArgumentParser
import Foretoken

/// What `bench spec` compares.
enum SpecSuite: String, ExpressibleByArgument, CaseIterable, Codable {
  /// Methods of drafting.
  case methods
  /// Shapes of a draft model's trees, and verifiers.
  case trees
  /// `auto` beside every single method, on chat, code and long documents.
  case auto
}

extension SpecSuite {
  /// Planners of the suite where nothing else is said.
  var planner: PlannerChoice {
    switch self {
    case .methods: .both
    case .trees: .off
    case .auto: .on
    }
  }

  /// Temperatures of the suite where nothing else is said.
  var temperatures: String {
    switch self {
    case .methods: "0"
    case .trees: "0,0.3,0.6,1"
    case .auto: "0,0.8"
    }
  }
}

/// A tree of a draft model as the benchmark runs it.
struct SpecTree: Sendable, Hashable, Codable {
  let shape: TreeMethod
  let verification: VerificationMethod
  /// Most nodes of a step.
  let nodes: Int
  /// Longest path; nil for what suits the number of nodes.
  let depth: Int?

  /// Name in tables, without the size.
  var name: String { "\(shape.rawValue) \(verification.rawValue)" }

  /// Size in tables.
  var size: String { depth.map { "length \($0)" } ?? "\(nodes) nodes" }

  func apply(to options: inout GenerationOptions) {
    options.tree = shape
    options.verification = options.sampling.isGreedy ? nil : verification
    options.maximumDraft = nodes
    options.draftDepth = depth
  }

  /// Every shape with every verifier that is valid for it: trees of each budget, the same for all,
  /// and of each draft length, where all but the chain have four nodes for each level.
  static func all(budgets: [Int], lengths: [Int]) -> [SpecTree] {
    let sizes =
      budgets.map { (nodes: $0, depth: Int?.none) } + lengths.map { (nodes: 4 * $0, depth: $0) }
    return sizes.flatMap { nodes, depth in
      TreeMethod.allCases.flatMap { shape in
        // With one child to a node all verifiers by rejection are the same.
        let verifiers = shape == .chain ? [.rejection] : shape.verifiers
        return ([.coupled] + verifiers).map { verifier in
          SpecTree(
            shape: shape, verification: verifier,
            nodes: shape == .chain ? depth ?? nodes : nodes, depth: depth)
        }
      }
    }
  }
}
