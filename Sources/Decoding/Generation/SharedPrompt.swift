/// A prompt that several samples have in common. One of them runs it, the others begin with forks of
/// its keys and values.
final class SharedPrompt {
  /// Samples that have not begun.
  private var waiting: Int
  /// The one that runs the prompt. Weak, since it holds this object; the scheduler keeps it while it runs.
  private weak var leader: ScheduledProcess?
  private var source: Conversation?

  /// - Parameter count: number of samples.
  init(samples count: Int) { waiting = count }

  /// Whether `sample` can begin: it has the prompt from another one now, or runs it itself. Processes
  /// that run passes of their own share nothing.
  func admits(_ sample: ScheduledProcess) -> Bool {
    if source != nil { return true }
    // A leader whose reader is behind has paused: nobody waits for that.
    if leader?.isOver ?? true || leader?.channel.demand == .full { leader = sample }
    return leader === sample || leader?.process is any SteppedProcess
  }

  /// Gives a sample that begins the prompt's keys and values, if they are there.
  func begin(_ sample: ScheduledProcess) {
    waiting -= 1
    sample.take {
      if let source { try sample.generation?.adopt(source) }
      return []
    }
    if waiting <= 0 { release() }
  }

  /// Keeps the keys and values of the prompt for the samples that wait, once `sample` has run it.
  func follow(_ sample: ScheduledProcess) {
    guard sample === leader, source == nil, waiting > 0, let generation = sample.generation,
      generation.promptTokensLeft == 0
    else { return }
    source = sample.conversation.fork()
  }

  private func release() {
    source?.cache.release()
    source = nil
  }
}
