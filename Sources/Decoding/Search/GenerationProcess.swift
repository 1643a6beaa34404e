/// What a generator drives, on the engine's thread, until it is finished: a `Generation`, whose passes
/// the scheduler runs together with others', or a `SteppedProcess`.
protocol GenerationProcess: AnyObject {
  /// True after the finish event.
  var isFinished: Bool { get }
  /// The figures so far.
  var summary: GenerationSummary { get }

  /// Ends the generation from outside, and returns the last events; none if it has ended.
  func end(_ reason: FinishReason) -> [GenerationEvent]

  /// Keeps what was learnt and gives back what the generation holds beside its conversation. Called
  /// once, after the last event.
  func close() throws
}

/// A generation that runs passes of its own. Other passes of the engine come in between its steps:
/// views into the engine's buffers end with the step.
protocol SteppedProcess: GenerationProcess {
  /// Runs one forward pass or a few, and returns what there is to report. Nobody else's pass runs
  /// meanwhile, and cancelling takes effect between two steps.
  func advance() throws -> [GenerationEvent]
}
