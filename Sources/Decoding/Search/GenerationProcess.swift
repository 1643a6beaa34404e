/// A generation as a sequence of short synchronous steps, as `Generator` drives it.
///
/// Between two steps nothing points into the engine's buffers, so generations of one engine may
/// take turns.
protocol GenerationProcess: AnyObject {
  /// True after the finish event.
  var isFinished: Bool { get }
  /// The figures so far.
  var summary: GenerationSummary { get }

  /// Runs one forward pass or a few, and returns what there is to report.
  func advance() throws -> [GenerationEvent]

  /// Ends the generation from outside, and returns the last events.
  func end(_ reason: FinishReason) -> [GenerationEvent]

  /// Gives back what the generation holds. Called once, after the last event.
  func close() throws
}

extension Generation: GenerationProcess {}
