import Foretoken

/// A stretch of text that one drafter proposed, or the model itself gave.
struct DraftedRun: Sendable, Equatable {
  /// The text.
  var text: String
  /// Index of the drafter among those of the text; nil for the model's own tokens.
  var drafter: Int?
}

/// Tells drafted text from the model's own, as a generation reports its steps and pieces.
///
/// A piece of text may stand for several tokens and a token for a part of a character, so bytes
/// carry the origins: a character counts as drafted by who drafted its first byte.
struct DraftedText: Sendable {
  /// Names of the drafters, in the order of their first accepted token.
  private(set) var drafters: [String] = []
  /// Accepted tokens of each drafter.
  private(set) var acceptedCounts: [Int] = []
  /// Origins of tokens whose text has not come yet.
  private var tokenOrigins: [Int?] = []
  private var bytes: [UInt8] = []
  private var byteOrigins: [Int?] = []

  /// Takes a step: it comes before the text of its tokens.
  mutating func append(_ step: StepTrace) {
    for index in step.emitted.indices {
      guard index < step.accepted.count else {
        tokenOrigins.append(nil)
        continue
      }
      let node = Int(step.accepted[index])
      let origin = step.draftOrigins.indices.contains(node) ? Int(step.draftOrigins[node]) : 0
      let name = step.drafters.indices.contains(origin) ? step.drafters[origin] : "?"
      let drafter = self.index(of: name)
      acceptedCounts[drafter] += 1
      tokenOrigins.append(drafter)
    }
  }

  /// Takes a piece and returns its text in runs of one origin.
  mutating func append(_ piece: TextPiece, tokenizer: Tokenizer) -> [DraftedRun] {
    for token in piece.tokens {
      let origin = tokenOrigins.isEmpty ? nil : tokenOrigins.removeFirst()
      let text = tokenizer.decodeBytes(CollectionOfOne(token), isStartOfText: false)
      bytes += text
      byteOrigins += Array(repeating: origin, count: text.count)
    }
    var runs: [DraftedRun] = []
    var used = 0
    for character in piece.text {
      let origin = used < byteOrigins.count ? byteOrigins[used] : byteOrigins.last ?? nil
      used = min(used + length(of: character, at: used), bytes.count)
      if let last = runs.indices.last, runs[last].drafter == origin {
        runs[last].text.append(character)
      } else {
        runs.append(DraftedRun(text: String(character), drafter: origin))
      }
    }
    bytes.removeFirst(used)
    byteOrigins.removeFirst(used)
    return runs
  }

  /// Bytes of the tokens that `character` stands for: its own, or those it replaces where they were
  /// no text.
  private func length(of character: Character, at start: Int) -> Int {
    let own = Array(character.utf8)
    return character == "\u{FFFD}" && !bytes[start...].starts(with: own) ? 1 : own.count
  }

  private mutating func index(of name: String) -> Int {
    if let known = drafters.firstIndex(of: name) { return known }
    drafters.append(name)
    acceptedCounts.append(0)
    return drafters.count - 1
  }
}
