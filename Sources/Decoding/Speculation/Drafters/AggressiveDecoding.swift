import Tokenization
import Transformers

/// Input-guided aggressive decoding: the text to be edited is the draft of its own edit, and drafting
/// goes on behind every change (Ge et al., "Lossless Acceleration for Seq2seq Generation with
/// Aggressive Decoding", arXiv 2205.10350). Here for decoders without an encoder: the source is
/// `GenerationOptions.prediction`, or the last message of the prompt.
///
/// Guarantee: bitwise. Cost: three indexes of the source (`NGramIndex`), made once; a step compares
/// at most some dozens of tokens.
final class InputDrafter: Drafter {
  /// Tokens drafted at most where nothing else is said: the card's upper bound for processors.
  static let usualLength = 16

  let name = "input"
  private var source: InputSource
  private let settings: InputSettings
  private var indexes: [NGramIndex] = []  // of the source, for 1, 2, ... tokens
  private var place: Place?
  private var lastPosition = 0  // of the source, where the output was last known to be
  private var agreed = 0  // tokens that agree before the place
  private var justMissed = false  // the latest token is the first that differs
  private var learnt = 0  // tokens of the context that were followed

  /// Where the output is expected to go on: with `text[position]`.
  private struct Place {
    let text: [Int32]
    var position: Int
    /// False while it is a guess.
    var isConfirmed = true
  }

  init(source: InputSource, settings: InputSettings) {
    self.source = source
    self.settings = settings
  }

  convenience init(_ setup: DrafterSetup, settings: InputSettings) {
    let source = InputSource(prediction: setup.options.prediction, tokenizer: setup.tokenizer)
    self.init(source: source, settings: settings)
  }

  func begin(_ context: DraftContext) {
    learnt = context.promptCount
    source.begin(
      prompt: context.tokens[..<context.promptCount],
      first: context.tokens.dropFirst(context.promptCount).first)
    indexes = (1...settings.longestGram).map { length in
      let index = NGramIndex(length: length)
      index.reserve(source.tokens.count)
      for token in source.tokens { index.append(token) }
      return index
    }
    follow(context)
  }

  func propose(_ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree) {
    if place == nil { place = resynchronise(context.tokens[context.promptCount...]) }
    guard let place else { return }
    var room = min(budget.nodes, budget.depth, settings.length ?? .max)
    if !place.isConfirmed { room = min(room, settings.guessLength) }
    tree.append(
      chain: place.text[place.position...].prefix(room), probability: probability)
  }

  /// Laplace's rule, as for copies, where the source is given. A prompt's last message is seldom a text
  /// to be edited: there, one or two tokens that agree say little.
  private var probability: Float {
    let agreed = Float(agreed)
    return source.isGiven ? (agreed + 1) / (agreed + 2) : (agreed + 0.5) / (agreed + 3)
  }

  func observe(_ step: DraftObservation, context: DraftContext) { follow(context) }

  /// Moves the place over the tokens that became output since the last time.
  private func follow(_ context: DraftContext) {
    let tokens = context.tokens
    while learnt < tokens.count {
      if learnt == context.promptCount { start(with: tokens[learnt]) } else { step(tokens[learnt]) }
      learnt += 1
    }
  }

  private func start(with token: Int32) {
    guard let text = source.starts.first(where: { $0.first == token }) else { return }
    place = Place(text: text, position: 1)
    agreed = 1
    lastPosition = source.position(1, of: text)
  }

  private func step(_ token: Int32) {
    justMissed = false
    guard var place else { return }
    if place.position < place.text.count, place.text[place.position] == token {
      place.position += 1
      place.isConfirmed = true
      agreed += 1
      self.place = place
      lastPosition = source.position(place.position, of: place.text)
    } else {
      self.place = nil
      agreed = 0
      justMissed = place.isConfirmed
    }
  }

  // MARK: After a mismatch

  /// Where the source goes on like the output; nil if that cannot be said.
  private func resynchronise(_ output: ArraySlice<Int32>) -> Place? {
    if let distance = settings.distance, let found = nearest(output, within: distance) {
      agreed = found.length
      return Place(
        text: source.tokens, position: found.position, isConfirmed: found.length > 1)
    }
    if let found = unique(output) {
      agreed = found.length
      let isConfirmed = found.length > 1 || settings.distance == nil
      return Place(
        text: source.tokens, position: found.position, isConfirmed: isConfirmed)
    }
    // Ours: the token that differs may stand for exactly one of the source.
    let next = lastPosition + 1
    guard justMissed, settings.guessLength > 0, next < source.tokens.count else { return nil }
    agreed = 0
    return Place(text: source.tokens, position: next, isConfirmed: false)
  }

  /// The paper's rule: the shortest end of the output, of up to three tokens, that is in the source
  /// exactly once.
  private func unique(_ output: ArraySlice<Int32>) -> (position: Int, length: Int)? {
    for (index, length) in zip(indexes, 1...) {
      guard let entry = index.entry(of: output.suffix(length)) else { return nil }
      if index.entry(before: entry) == nil { return (entry, length) }
    }
    return nil
  }

  /// Ours: of the places at most `distance` tokens from where the output was last known to be, the
  /// one before which most tokens agree, at most three; of equal ones the nearest, of equally near
  /// ones the later.
  private func nearest(
    _ output: ArraySlice<Int32>, within distance: Int
  ) -> (position: Int, length: Int)? {
    var best: (position: Int, length: Int)?
    let first = max(lastPosition - distance, 1)
    let last = min(lastPosition + distance, source.tokens.count - 1)
    guard first <= last else { return nil }
    for position in first...last {
      var length = 0
      while length < min(settings.longestGram, position, output.count),
        source.tokens[position - 1 - length] == output[output.endIndex - 1 - length]
      { length += 1 }
      guard length > 0 else { continue }
      if let best {
        let isNearer = abs(position - lastPosition) <= abs(best.position - lastPosition)
        guard length > best.length || (length == best.length && isNearer) else { continue }
      }
      best = (position, length)
    }
    return best
  }
}

/// How `input` drafts.
public struct InputSettings: Sendable, Equatable {
  /// Longest end of the output that is looked for in the source after a mismatch, 1 to 6 tokens.
  public var longestGram: Int
  /// How far from the last agreement the output may go on, in tokens of the source, where the
  /// nearest place is looked for first; nil for the paper's rule alone: an end of the output that is
  /// in the whole source exactly once.
  public var distance: Int?
  /// Tokens drafted from a place that only one token speaks for, and right behind a mismatch, on the
  /// guess that one token was replaced by one; 0 for no such guess.
  public var guessLength: Int
  /// Most tokens drafted in a step: B. nil for as many as the step's budget has, which is 16 unless
  /// planner or `maximumDraft` say another number.
  public var length: Int?

  /// Our settings.
  public init(
    longestGram: Int = 3, distance: Int? = 20, guessLength: Int = 4, length: Int? = nil
  ) {
    self.longestGram = min(max(longestGram, 1), 6)
    self.distance = distance.map { min(max($0, 0), 1 << 16) }
    self.guessLength = max(guessLength, 0)
    self.length = length.map { max($0, 1) }
  }

  /// The paper's rule: suffixes of one to three tokens that are unique in the source, no guesses.
  public static let paper = InputSettings(distance: nil, guessLength: 0)
}

extension DrafterKind {
  /// Input-guided aggressive decoding (arXiv 2205.10350): drafts the text that is being edited.
  public static func input(_ settings: InputSettings = .init()) -> DrafterKind {
    DrafterKind(name: "input", defaultNodes: settings.length ?? InputDrafter.usualLength) {
      InputDrafter($0, settings: settings)
    }
  }
}

/// The text that an output is expected to follow, as tokens.
///
/// The same text has other tokens at the beginning of an output than in the middle of a prompt (a
/// space before the first word belongs to it, or does not), so its start is kept in each form.
struct InputSource {
  /// The source.
  private(set) var tokens: [Int32]
  /// Ways in which an output may begin with it, or with a part of it: each has the source's tokens,
  /// except for the first few.
  private(set) var starts: [[Int32]]
  private let tokenizer: Tokenizer?
  /// True if someone said what the output will resemble.
  let isGiven: Bool

  /// A source of these tokens, for tests.
  init(tokens: [Int32]) {
    self.tokens = tokens
    starts = [tokens]
    tokenizer = nil
    isGiven = true
  }

  /// - Parameter prediction: the source; nil for the prompt's last message.
  init(prediction: String?, tokenizer: Tokenizer) {
    self.tokenizer = tokenizer
    isGiven = prediction != nil
    starts = prediction.map { Self.forms(of: Array($0.utf8), tokenizer) } ?? []
    tokens = starts.first ?? []
  }

  /// Where `position` of a start lies in the source: both end alike.
  func position(_ position: Int, of start: [Int32]) -> Int {
    max(position + tokens.count - start.count, 0)
  }

  /// Settles what the source is, now that the prompt is known and the first token of the output.
  mutating func begin(prompt: ArraySlice<Int32>, first: Int32?) {
    if let tokenizer, !isGiven {
      tokens = Array(Self.lastMessage(prompt, tokenizer))
      let text = tokenizer.decodeBytes(tokens, isStartOfText: false)
      starts = Self.parts(of: text).flatMap { Self.forms(of: Array($0), tokenizer) }
    } else if let form = starts.first(where: { $0.first == first }) {
      tokens = form
    }
  }

  /// The last run of more than two tokens between control tokens, the beginning of the answer left
  /// out; all of the prompt if there is none.
  static func lastMessage(_ prompt: ArraySlice<Int32>, _ tokenizer: Tokenizer) -> ArraySlice<Int32>
  {
    prompt.split { tokenizer.isControl($0) }
      .last { $0.endIndex < prompt.endIndex && $0.count > 2 } ?? prompt
  }

  /// Where in a message the text to be edited may begin: after a blank line, a colon, the first
  /// line (which holds the speaker's role in many templates), or at its start.
  static func parts(of text: [UInt8]) -> [ArraySlice<UInt8>] {
    let newline = UInt8(ascii: "\n")
    let marks = [
      [newline, newline], [UInt8(ascii: ":"), newline], [UInt8(ascii: ":"), UInt8(ascii: " ")],
      [newline],
    ]
    let starts = marks.compactMap { mark in
      text.indices.first { text[$0...].starts(with: mark) }.map { $0 + mark.count }
    }
    return (starts + [0]).map { text[$0...] }.filter { !$0.isEmpty }
  }

  /// The tokens of a text at the beginning of an output, in the forms that differ: as it is, after a
  /// space, and after a line break (SentencePiece writes a space at the beginning of any text).
  static func forms(of text: [UInt8], _ tokenizer: Tokenizer) -> [[Int32]] {
    guard !text.isEmpty else { return [] }
    let encode = { (bytes: [UInt8]) in
      tokenizer.encode(bytes, addSpecial: false, parseSpecial: false)
    }
    var forms = [encode(text), encode([UInt8(ascii: " ")] + text)]
    let broken = encode([UInt8(ascii: "\n")] + text)
    let first = (1...3).first {
      tokenizer.decodeBytes(broken.dropFirst($0), isStartOfText: false) == text
    }
    if let first { forms.append(Array(broken.dropFirst(first))) }
    var seen: Set<Int32> = []
    return forms.filter { $0.first.map { seen.insert($0).inserted } ?? false }
  }
}
