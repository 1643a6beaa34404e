import Autograd
import Compute
import Decoding
import Foundation

/// Trains draft heads on a cache of the frozen model's hidden states.
///
/// Recipes of the papers: arXiv 2401.10774 (Medusa) and 2402.05109 (Hydra, Hydra++). The heads' loss is
/// taken over the most frequent tokens, which are the ones that they can draft.
public final class HeadsTraining {
  /// The heads.
  public let model: DraftHeadsModel
  /// Tokens that they can draft, ascending.
  public let tokens: [Int32]
  private let recipe: HeadsRecipe
  private let cache: HiddenStateCache
  private let head: Tensor
  private let table: [Float]
  private let tableRows: [Int32: Int]
  private let classes: [Int32: Int32]
  private let places: (training: [Int], validation: [Int])
  private let sequence: [Int32]

  /// What the training reads of the model: rows of its head, and embeddings.
  public struct Backbone: Sendable {
    let headRows: [Float]
    let embeddings: [Float]
    let embeddedTokens: [Int32]

    /// Rows for the tokens that can be drafted, and embeddings for all that occur.
    public init(headRows: [Float], embeddings: [Float], embeddedTokens: [Int32]) {
      self.headRows = headRows
      self.embeddings = embeddings
      self.embeddedTokens = embeddedTokens
    }
  }

  /// Prepares a training.
  ///
  /// - Parameters:
  ///   - texts: those of the cache, in its order: where answers begin, and to which part they belong.
  public init(
    method: String, recipe: HeadsRecipe, cache: HiddenStateCache, texts: [HeadsText],
    tokens: [Int32], backbone: Backbone
  ) throws {
    self.recipe = recipe
    self.cache = cache
    self.tokens = tokens
    model = DraftHeadsModel(
      method: method, hiddenSize: cache.hiddenSize, rank: recipe.rank, heads: recipe.heads,
      seed: UInt64(recipe.seed))
    head = Tensor(backbone.headRows, shape: [tokens.count, cache.hiddenSize])
    table = backbone.embeddings
    tableRows = Dictionary(
      uniqueKeysWithValues: backbone.embeddedTokens.enumerated().map { ($1, $0) })
    classes = Dictionary(uniqueKeysWithValues: tokens.enumerated().map { ($1, Int32($0)) })
    sequence = Array(cache.texts.joined())
    var places = (training: [Int](), validation: [Int]())
    for (index, text) in texts.enumerated() where index < cache.texts.count {
      // States from the prompt's last token on: those that decoding drafts from.
      let first = cache.starts[index] + max(text.promptCount - 1, 0)
      let end = cache.starts[index + 1] - recipe.heads - 1
      guard first < end else { continue }
      if text.isValidation {
        places.validation += first..<end
      } else {
        places.training += first..<end
      }
    }
    self.places = places
    guard places.training.count >= recipe.batch, !places.validation.isEmpty else {
      throw LearningError(
        "the data",
        "give \(places.training.count) positions for training and \(places.validation.count) held "
          + "out, expected \(recipe.batch) and 1 or more; give more prompts or longer answers")
    }
  }

  /// Positions that are trained on.
  public var trainingPositions: Int { places.training.count }
  /// Positions that are held out.
  public var validationPositions: Int { places.validation.count }

  /// Loss of the batch of a step: a function of the seed and the step.
  public func loss(_ step: Int) -> Tensor {
    let stream = RandomStream(seed: UInt64(recipe.seed), purpose: .data)
    let batch = (0..<recipe.batch).map { index in
      places.training[
        Int(stream.uniform(position: step, token: index) * Double(places.training.count))]
    }
    let states = tensor(cache.states(batch))
    let embeddings = embeddings(batch)
    var total = Tensor(0)
    var weights: Float = 0
    for index in 0..<recipe.heads {
      let logits = model.state(index, states, embeddings).matmul(head, transposed: true)
      let own =
        switch recipe.target {
        case .token: logits.crossEntropy(targets(batch, index))
        case .teacher: logits.crossEntropy(distributions: teacher(batch, index))
        }
      let weight = Float(Foundation.pow(recipe.headDecay, Double(index)))
      total = total + own * weight
      weights += weight
    }
    return total / weights
  }

  private func tensor(_ values: [Float]) -> Tensor {
    Tensor(values, shape: [values.count / cache.hiddenSize, cache.hiddenSize])
  }

  /// Embeddings of the tokens 1, 2, … places after each position.
  private func embeddings(_ batch: [Int]) -> [Tensor] {
    guard model.method == "hydra" else { return [] }
    let size = cache.hiddenSize
    return (1...recipe.heads).map { distance in
      tensor(
        batch.flatMap { position -> ArraySlice<Float> in
          let row = tableRows[sequence[position + distance]] ?? 0
          return table[row * size..<(row + 1) * size]
        })
    }
  }

  /// What the model wrote where head `index` guesses, as a class; -1 for tokens that it cannot draft.
  private func targets(_ batch: [Int], _ index: Int) -> [Int32] {
    batch.map { classes[sequence[$0 + index + 2]] ?? -1 }
  }

  /// The model's distribution where head `index` guesses, over the tokens that it can draft.
  private func teacher(_ batch: [Int], _ index: Int) -> Tensor {
    tensor(cache.states(batch.map { $0 + index + 1 })).matmul(head, transposed: true).softmax()
  }

  /// How often the guesses of each head are right on held-out text, given the tokens before.
  ///
  /// - Parameter ranks: guesses of each head that are counted one by one.
  public func accuracy(ranks: Int = 10, most: Int = 4096) -> [[Double]] {
    let chosen = spread(places.validation, most)
    var hits = [[Int]](repeating: [Int](repeating: 0, count: ranks), count: recipe.heads)
    for begin in stride(from: 0, to: chosen.count, by: 256) {
      let batch = Array(chosen[begin..<min(begin + 256, chosen.count)])
      let states = tensor(cache.states(batch))
      let embeddings = embeddings(batch)
      for index in 0..<recipe.heads {
        let logits = model.state(index, states, embeddings).matmul(head, transposed: true)
        for (row, target) in targets(batch, index).enumerated() where target >= 0 {
          let rank = Self.rank(of: Int(target), logits.values, row, tokens.count)
          if rank < ranks { hits[index][rank] += 1 }
        }
      }
    }
    return hits.map { $0.map { Double($0) / Double(max(chosen.count, 1)) } }
  }

  /// How often simple guesses are right at the distance of each head: the most frequent token, and
  /// the token that followed the pending one most often at that distance.
  public func baselines(most: Int = 4096) -> [(unigram: Double, bigram: Double)] {
    (0..<recipe.heads).map { index in
      var counts: [Int32: Int] = [:]
      var pairs: [Int32: [Int32: Int]] = [:]
      for position in places.training {
        let next = sequence[position + index + 2]
        counts[next, default: 0] += 1
        pairs[sequence[position + 1], default: [:]][next, default: 0] += 1
      }
      func best(_ counts: [Int32: Int]) -> Int32? {
        counts.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key
      }
      let frequent = best(counts)
      let followers = pairs.mapValues(best)
      let chosen = spread(places.validation, most)
      var hits = (unigram: 0, bigram: 0)
      for position in chosen {
        let next = sequence[position + index + 2]
        if next == frequent { hits.unigram += 1 }
        if next == (followers[sequence[position + 1]] ?? frequent) { hits.bigram += 1 }
      }
      let count = Double(max(chosen.count, 1))
      return (Double(hits.unigram) / count, Double(hits.bigram) / count)
    }
  }

  private func spread(_ positions: [Int], _ most: Int) -> [Int] {
    guard positions.count > most else { return positions }
    return (0..<most).map { positions[$0 * positions.count / most] }
  }

  private static func rank(of target: Int, _ logits: [Float], _ row: Int, _ width: Int) -> Int {
    let own = logits[row * width + target]
    var rank = 0
    for index in row * width..<(row + 1) * width where logits[index] > own { rank += 1 }
    return rank
  }
}

/// What is known of a text of the cache.
public struct HeadsText: Sendable, Equatable {
  /// Tokens before the model's own.
  public let promptCount: Int
  /// Whether it is held out.
  public let isValidation: Bool

  /// A text.
  public init(promptCount: Int, isValidation: Bool) {
    self.promptCount = promptCount
    self.isValidation = isValidation
  }
}
