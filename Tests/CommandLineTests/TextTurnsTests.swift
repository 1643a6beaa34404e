import Synchronization
import TestSupport
import Testing

@testable import CommandLineTool

@Suite struct TextTurnsTests {
  /// What has been written.
  private final class Screen: Sendable {
    private let shown = Mutex("")
    var text: String { shown.withLock { $0 } }
    func write(_ text: String) { shown.withLock { $0 += text } }
  }

  @Test("texts that are written at the same time appear one after another, whole and in order")
  func order() throws {
    var random = SeededGenerator(seed: 1)
    for _ in 0..<100 {
      let count = Int(random.next() % 5) + 1
      let texts = (0..<count).map { number in
        (0..<Int(random.next() % 6)).map { "\(number).\($0) " }
      }
      let screen = Screen()
      let turns = TextTurns { screen.write($0) }
      var next = [Int](repeating: 0, count: count)
      var open = Array(0..<count)
      while !open.isEmpty {
        let number = open[Int(random.next() % UInt64(open.count))]
        if next[number] < texts[number].count {
          try turns.write(texts[number][next[number]], of: number)
          next[number] += 1
        } else {
          try turns.finish(number)
          open.removeAll { $0 == number }
        }
      }
      #expect(screen.text == texts.flatMap(\.self).joined())
    }
  }

  @Test("the first text that is not over appears as it comes, the next one once it is over")
  func live() throws {
    let screen = Screen()
    let turns = TextTurns { screen.write($0) }
    try turns.write("b", of: 1)
    #expect(screen.text.isEmpty)
    try turns.write("a", of: 0)
    #expect(screen.text == "a")
    try turns.finish(0)
    #expect(screen.text == "ab")
    try turns.write("c", of: 1)
    #expect(screen.text == "abc")
    // What comes after its end is not shown.
    try turns.write("late", of: 0)
    #expect(screen.text == "abc")
  }
}
