import Transformers

/// A process of the scheduler, the sequence it works on, and where its events go.
final class ScheduledProcess {
  let channel: EventChannel
  let conversation: Conversation
  /// The name of the conversation, if it is kept.
  let id: Generator.ConversationID?
  /// The prompt it has in common with other samples.
  let prompt: SharedPrompt?

  /// nil before the process is admitted.
  private(set) var process: (any GenerationProcess)?
  /// The error that ended it.
  private(set) var failure: (any Error)?
  private(set) var isOver = false

  private let make: () throws -> any GenerationProcess

  /// - Parameter make: makes the process when its turn has come.
  init(
    channel: EventChannel, conversation: Conversation, id: Generator.ConversationID? = nil,
    prompt: SharedPrompt? = nil, make: @escaping () throws -> any GenerationProcess
  ) {
    self.channel = channel
    self.conversation = conversation
    self.id = id
    self.prompt = prompt
    self.make = make
  }

  /// The process as a generation whose passes are run with others'.
  var generation: Generation? { process as? Generation }

  /// Makes the process.
  func begin() {
    do { process = try make() } catch { end(throwing: error) }
  }

  /// Runs `body` and sends the events it returns. An error ends this process and no other.
  func take(_ body: () throws -> [GenerationEvent]) {
    guard !isOver else { return }
    do {
      channel.send(try body())
      if process?.isFinished == true { close() }
    } catch {
      fail(error)
    }
  }

  /// Ends the process with an error.
  func fail(_ error: any Error) {
    if let process, !process.isFinished {
      channel.send(process.end(.error(String(describing: error))))
    }
    try? process?.close()
    end(throwing: error)
  }

  /// Ends the process because its reader has gone.
  func cancel() {
    if process == nil { begin() }
    take { process?.end(.cancelled) ?? [] }
  }

  private func close() {
    do {
      try process?.close()
      end(throwing: nil)
    } catch {
      end(throwing: error)
    }
  }

  private func end(throwing error: (any Error)?) {
    failure = error
    isOver = true
  }
}
