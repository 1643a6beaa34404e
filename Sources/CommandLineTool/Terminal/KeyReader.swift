import Foundation

/// What a person pressed.
enum Key: Equatable {
  case text(String)
  case enter, backspace, delete, left, right, up, down, home, end, wordLeft, wordRight, tab
  case killToEnd, killToStart, killWord, clearScreen, interrupt, suspend, endOfInput
  case unknown
}

/// Turns the bytes of a terminal in raw mode into keys.
struct KeyReader {
  private static let escape: UInt8 = 0x1B
  private static let pasteEnd: [UInt8] = Array("\u{1B}[201~".utf8)
  /// Longest text that one paste inserts, in bytes.
  private static let longestPaste = 1 << 20

  /// Waits for the next key; nil at the end of input.
  func next() -> Key? {
    guard let byte = readByte() else { return nil }
    switch byte {
    case 0x01: return .home
    case 0x02: return .left
    case 0x03: return .interrupt
    case 0x04: return .endOfInput
    case 0x05: return .end
    case 0x06: return .right
    case 0x08, 0x7F: return .backspace
    case 0x09: return .tab
    case 0x0A, 0x0D: return .enter
    case 0x0B: return .killToEnd
    case 0x0C: return .clearScreen
    case 0x0E: return .down
    case 0x10: return .up
    case 0x15: return .killToStart
    case 0x17: return .killWord
    case 0x1A: return .suspend
    case Self.escape: return escapeSequence()
    case ..<0x20: return .unknown
    default: return character(startingWith: byte)
    }
  }

  private func readByte() -> UInt8? {
    var byte: UInt8 = 0
    while true {
      let count = read(STDIN_FILENO, &byte, 1)
      if count == 1 { return byte }
      guard count < 0, errno == EINTR else { return nil }
    }
  }

  /// Whether more bytes are there at once: an escape key alone sends none.
  private var hasMore: Bool {
    var request = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
    return poll(&request, 1, 25) > 0
  }

  private func character(startingWith first: UInt8) -> Key {
    var bytes = [first]
    let length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1
    while bytes.count < length, let byte = readByte() { bytes.append(byte) }
    return String(validating: bytes, as: UTF8.self).map { .text($0) } ?? .unknown
  }

  private func escapeSequence() -> Key {
    guard hasMore, let first = readByte() else { return .unknown }
    switch first {
    case UInt8(ascii: "b"): return .wordLeft
    case UInt8(ascii: "f"): return .wordRight
    case UInt8(ascii: "["), UInt8(ascii: "O"): break
    default: return .unknown
    }
    var parameters = ""
    while let byte = readByte() {
      guard (0x40...0x7E).contains(byte) else {
        parameters.unicodeScalars.append(Unicode.Scalar(byte))
        continue
      }
      return key(parameters, final: byte)
    }
    return .unknown
  }

  private func key(_ parameters: String, final: UInt8) -> Key {
    let isWord = parameters.hasSuffix(";5") || parameters.hasSuffix(";3")
    switch (Unicode.Scalar(final), parameters) {
    case ("A", _): return .up
    case ("B", _): return .down
    case ("C", _): return isWord ? .wordRight : .right
    case ("D", _): return isWord ? .wordLeft : .left
    case ("H", _), ("~", "1"), ("~", "7"): return .home
    case ("F", _), ("~", "4"), ("~", "8"): return .end
    case ("~", "3"): return .delete
    case ("~", "200"): return paste()
    default: return .unknown
    }
  }

  /// Everything up to the mark that ends a bracketed paste, line breaks included.
  private func paste() -> Key {
    var bytes: [UInt8] = []
    while bytes.count < Self.longestPaste, let byte = readByte() {
      bytes.append(byte)
      if byte == Self.pasteEnd.last, bytes.suffix(Self.pasteEnd.count).elementsEqual(Self.pasteEnd)
      {
        bytes.removeLast(Self.pasteEnd.count)
        break
      }
    }
    let text = String(decoding: bytes, as: UTF8.self)
    return .text(text.replacing("\r\n", with: "\n").replacing("\r", with: "\n"))
  }
}
