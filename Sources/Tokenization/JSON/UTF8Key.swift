/// A string compared byte by byte.
///
/// Swift's `String` takes canonically equivalent texts as equal ("é" in one scalar or in two); JSON
/// and Python do not.
struct UTF8Key: Hashable, Sendable {
  let text: String

  init(_ text: String) { self.text = text }

  static func == (left: UTF8Key, right: UTF8Key) -> Bool { left.text.hasSameUTF8(as: right.text) }

  func hash(into hasher: inout Hasher) {
    var text = text
    text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
  }
}

extension String {
  /// Whether both are the same bytes, which is stricter than `==`.
  func hasSameUTF8(as other: String) -> Bool { utf8.elementsEqual(other.utf8) }
}
