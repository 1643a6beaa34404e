/// A line that is being written, the cursor in it, and the earlier lines to go back to.
struct LineEdit {
  private var characters: [Character] = []
  private var cursor = 0
  /// Earlier lines, and the new one at the end.
  private var entries: [String]
  private var entry: Int

  init(entries: [String]) {
    self.entries = entries + [""]
    entry = entries.count
  }

  var text: String { String(characters) }
  var isEmpty: Bool { characters.isEmpty }

  /// Changes the line as `key` says; other keys do nothing.
  mutating func apply(_ key: Key) {
    switch key {
    case .text(let text): insert(text)
    case .backspace where cursor > 0: remove(cursor - 1..<cursor)
    case .delete where cursor < characters.count, .endOfInput where cursor < characters.count:
      remove(cursor..<cursor + 1)
    case .left: cursor = max(0, cursor - 1)
    case .right: cursor = min(characters.count, cursor + 1)
    case .home: cursor = 0
    case .end: cursor = characters.count
    case .wordLeft: cursor = wordStart
    case .wordRight: cursor = wordEnd
    case .killToEnd: remove(cursor..<characters.count)
    case .killToStart: remove(0..<cursor)
    case .killWord: remove(wordStart..<cursor)
    case .up: recall(entry - 1)
    case .down: recall(entry + 1)
    default: break
    }
  }

  /// Completes the beginning of the line to the only word, or the common part of several.
  mutating func complete(_ words: [String]) {
    let start = String(characters[..<cursor])
    let matches = words.filter { $0.hasPrefix(start) }
    guard !start.isEmpty, let first = matches.first else { return }
    let common = matches.dropFirst().reduce(first) { $0.commonPrefix(with: $1) }
    insert(String(common.dropFirst(start.count)) + (matches.count == 1 ? " " : ""))
  }

  /// The part of the line around the cursor that fits, and the cursor's column in it.
  func window(columns: Int) -> (text: String, cursor: Int) {
    let shown = characters.map { $0.isNewline ? "↵" : String($0).visible }
    var start = cursor
    var before = 0
    while start > 0, before + shown[start - 1].displayWidth <= columns {
      start -= 1
      before += shown[start].displayWidth
    }
    var end = cursor
    var width = before
    while end < shown.count, width + shown[end].displayWidth <= columns {
      width += shown[end].displayWidth
      end += 1
    }
    return (shown[start..<end].joined(), before)
  }

  private mutating func insert(_ text: String) {
    characters.insert(contentsOf: text, at: cursor)
    cursor += text.count
  }

  private mutating func remove(_ range: Range<Int>) {
    characters.removeSubrange(range)
    cursor = range.lowerBound
  }

  private mutating func recall(_ index: Int) {
    guard entries.indices.contains(index) else { return }
    entries[entry] = text
    entry = index
    characters = Array(entries[index])
    cursor = characters.count
  }

  private var wordStart: Int {
    var index = cursor
    while index > 0, characters[index - 1].isWhitespace { index -= 1 }
    while index > 0, !characters[index - 1].isWhitespace { index -= 1 }
    return index
  }

  private var wordEnd: Int {
    var index = cursor
    while index < characters.count, characters[index].isWhitespace { index += 1 }
    while index < characters.count, !characters[index].isWhitespace { index += 1 }
    return index
  }
}
