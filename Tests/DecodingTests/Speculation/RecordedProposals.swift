import Foundation
import TestSupport

@testable import Decoding

/// What real drafters proposed at every token of real texts, beside the texts.
struct RecordedProposals: Codable {
  struct Text: Codable {
    let model: String
    let category: String
    /// Tokens that plain decoding wrote.
    let tokens: [Int32]
    /// Tokens that occur in proposals; nodes name them by index.
    var vocabulary: [Int32] = []
    /// For each drafter the trees at tokens 1, 2, ... of the text, encoded.
    var proposals: [String: Data] = [:]

    /// The trees of a drafter; nil if it was not recorded.
    func trees(of drafter: String) -> [TokenTree]? {
      guard let data = proposals[drafter] else { return nil }
      var bytes = data[...]
      func next() -> Int { Int(bytes.popFirst() ?? 0) }
      return (1..<max(tokens.count, 1)).map { _ in
        var tree = TokenTree()
        for _ in 0..<next() {
          let token = next() << 8 | next()
          let parent = next()
          let probability = Float(next()) / 255
          guard vocabulary.indices.contains(token) else { continue }
          tree.append(
            vocabulary[token], below: parent == 255 ? TokenTree.root : parent,
            probability: probability)
        }
        return tree
      }
    }

    /// Keeps the trees of a drafter.
    mutating func keep(_ trees: [TokenTree], of drafter: String) {
      var places = Dictionary(uniqueKeysWithValues: zip(vocabulary, vocabulary.indices))
      var data = Data()
      for tree in trees {
        data.append(UInt8(tree.count))
        for node in 0..<tree.count {
          let token = tree.tokens[node]
          let place = places[token] ?? vocabulary.count
          if place == vocabulary.count {
            vocabulary.append(token)
            places[token] = place
          }
          let parent = tree.parents[node]
          let probability = UInt8((tree.probabilities[node] * 255).rounded())
          data.append(contentsOf: [
            UInt8(place >> 8), UInt8(place & 255), parent < 0 ? 255 : UInt8(parent), probability,
          ])
        }
      }
      proposals[drafter] = data
    }
  }

  var texts: [Text] = []

  static func load() throws -> RecordedProposals {
    try Goldens.load(RecordedProposals.self, "recorded_proposals")
  }
}

/// Proposes what was recorded at each token, and takes the time that it is told to take.
final class ReplayedDrafter: Drafter {
  let name: String
  let requirements: DrafterRequirements
  private let trees: [TokenTree]
  private let promptCount: Int
  private let time: ReplayedTime
  private let clock: ReplayClock

  init(
    _ name: String, _ trees: [TokenTree], promptCount: Int, time: ReplayedTime, clock: ReplayClock
  ) {
    self.name = name
    self.trees = trees
    self.promptCount = promptCount
    self.time = time
    self.clock = clock
    requirements = DrafterRequirements(runsModel: time.level != nil)
  }

  func price(_ context: DraftContext) -> DraftPrice? {
    time.level.map { DraftPrice(catchUp: 0, level: $0) }
  }

  func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) {
    let index = context.position - promptCount - 1
    var levels = 0
    defer { clock.microseconds += time.level.map { $0 * Double(levels) } ?? time.proposal }
    guard trees.indices.contains(index) else { return }
    let whole = trees[index]
    var places: [Int] = []
    for node in 0..<whole.count {
      let parent = Int(whole.parents[node])
      let above = parent < 0 ? TokenTree.root : places[parent]
      let isLost = parent >= 0 && above == TokenTree.root
      guard !isLost, tree.count < budget.nodes, Int(whole.depths[node]) < budget.depth,
        parent < 0 || whole.pathProbabilities[parent] >= budget.leastPathProbability
      else {
        places.append(TokenTree.root)
        continue
      }
      places.append(
        tree.append(whole.tokens[node], below: above, probability: whole.probabilities[node]))
    }
    levels = tree.depth
  }
}

/// What proposals take, in microseconds.
struct ReplayedTime {
  /// Of a look-up.
  var proposal = 4.0
  /// Of each level, where a model is run.
  var level: Double?
}

/// Time that passes only where it is told to.
final class ReplayClock {
  var microseconds = 0.0
}
