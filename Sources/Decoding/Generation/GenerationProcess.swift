import Transformers

/// What a generator drives, on the engine's thread, until it is finished: a `Generation`, whose passes
/// the scheduler runs together with others', or a `SteppedProcess`.
protocol GenerationProcess: AnyObject {
  /// True once the last event was returned.
  var isFinished: Bool { get }

  /// Ends the process from outside, and returns the last events; none if it has ended.
  func end(_ reason: FinishReason) -> [GenerationEvent]

  /// Keeps what was learnt and gives back what the process holds beside its conversation. Called
  /// once, after the last event.
  func close() throws
}

/// A process that runs passes of its own. Other passes of the engine come in between its steps: views
/// into the engine's buffers end with the step.
protocol SteppedProcess: GenerationProcess {
  /// Goes on by one step, and returns what there is to report. A step should be short (a pass or a
  /// few): nobody else's pass runs meanwhile, and cancelling takes effect between two steps.
  func advance() throws -> [GenerationEvent]
}

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
