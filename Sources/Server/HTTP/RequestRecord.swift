import Synchronization

/// What is known of a request when it is done: for the log and the metrics.
final class RequestRecord: Sendable {
  /// The figures.
  struct Figures: Sendable {
    var promptTokens = 0
    var cachedTokens = 0
    var completionTokens = 0
    var draftedTokens = 0
    var acceptedTokens = 0
    /// Time from the request to its first token.
    var firstToken: Duration?
    /// The prompt, if the log shows it.
    var prompt: String?
    /// What a stream ended with, if not as it should.
    var failure: String?
  }

  let start = ContinuousClock.now
  private let state = Mutex(Figures())

  /// The figures so far.
  var figures: Figures { state.withLock { $0 } }

  /// Changes the figures.
  func update(_ change: (inout Figures) -> Void) { state.withLock { change(&$0) } }

  /// Time since the request came.
  var elapsed: Duration { start.duration(to: .now) }
}
