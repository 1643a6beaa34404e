import Foundation
import Tokenization
import Transformers

/// A smaller model of the target's vocabulary, loaded beside it to draft for it.
///
/// Not Sendable: it belongs to the target's thread, and shares its workers.
public final class DraftModel {
  /// Alias, path or hub id it was loaded by.
  public let name: String
  let engine: ForwardEngine
  private let planning: PlanningMemory

  /// Checks the vocabularies, token by token.
  ///
  /// - Parameters:
  ///   - name: for messages.
  ///   - engine: the smaller model's, made with the workers of the target's engine.
  ///   - tokenizer: the smaller model's.
  ///   - target: the target's.
  ///   - costCurves: where its cost curve is kept; nil to measure it in each process.
  /// - Throws: `DraftModelError.differentVocabulary`.
  public init(
    name: String, engine: ForwardEngine, tokenizer: Tokenizer, target: Tokenizer,
    costCurves: CostCurveStore? = nil
  ) throws {
    if let difference = target.firstDifference(from: tokenizer) {
      throw DraftModelError.differentVocabulary(draft: name, difference)
    }
    self.name = name
    self.engine = engine
    planning = PlanningMemory(store: costCurves)
  }

  /// What its passes cost; measured on first use.
  func costs() throws -> CostModel { try planning.costs(of: engine) }
}

/// Why there is no drafting with a model.
public enum DraftModelError: Error, Equatable, CustomStringConvertible, LocalizedError {
  /// No draft model was loaded.
  case missing
  /// No second model was loaded for a method that needs one.
  case notLoaded(method: String)
  /// The models' tokens do not mean the same; target first.
  case differentVocabulary(draft: String, VocabularyDifference)

  /// What was found, what was expected, what to do.
  public var description: String {
    switch self {
    case .missing:
      "--speculate draft-model needs a draft model: name a smaller model of the same vocabulary "
        + "with --draft MODEL"
    case .notLoaded(let method):
      "\(method) needs a second model: name a smaller model of the same vocabulary with --draft "
        + "MODEL"
    case .differentVocabulary(let draft, let difference):
      "\(draft) cannot draft for this model, their vocabularies differ (target, then draft): "
        + "\(difference); choose a --draft MODEL of the same family"
    }
  }

  /// The same text, for `localizedDescription`.
  public var errorDescription: String? { description }
}
