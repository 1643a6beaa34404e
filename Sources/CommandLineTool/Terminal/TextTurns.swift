import Synchronization

/// Lets texts that are written at the same time appear one after another: the first one that is not
/// over as it comes, the others once it is their turn.
final class TextTurns: Sendable {
  private struct State {
    var turn = 0
    var waiting: [Int: String] = [:]
    var finished: Set<Int> = []
  }

  private let state = Mutex(State())
  private let emit: @Sendable (String) throws -> Void

  /// - Parameter emit: writes text to the reader.
  init(emit: @escaping @Sendable (String) throws -> Void = { try TextStream.output.write($0) }) {
    self.emit = emit
  }

  /// Writes a piece of the text with this number, from 0.
  /// - Throws: what writing throws.
  func write(_ text: String, of number: Int) throws {
    try state.withLock { state in
      if number == state.turn {
        try emit(text)
      } else if number > state.turn {
        state.waiting[number, default: ""] += text
      }
    }
  }

  /// Ends a text: the next one has its turn.
  /// - Throws: what writing throws.
  func finish(_ number: Int) throws {
    try state.withLock { state in
      state.finished.insert(number)
      while state.finished.remove(state.turn) != nil {
        state.turn += 1
        if let text = state.waiting.removeValue(forKey: state.turn) { try emit(text) }
      }
    }
  }
}
