import Transformers

/// The sequences of a pass, as one of them sees it when it plans.
struct PassLoad: Sendable, Equatable {
  /// Sequences that decode, this one included.
  var sequences = 1
  /// Rows of prompts in the same pass.
  var promptRows = 0

  /// A pass of one sequence.
  static let alone = PassLoad()
}

/// What one sequence gets of a forward pass that several may have shared.
struct PassShare {
  /// Logits of the sequence's own rows, as it asked for them.
  let logits: TreeLogits
  /// Hidden states of the rows that have logits, by tap: each [rows, hiddenSize].
  let taps: [UnsafeBufferPointer<Float>]
  /// Time of the whole pass.
  let duration: Duration
  /// Who shared the pass.
  let load: PassLoad
}
