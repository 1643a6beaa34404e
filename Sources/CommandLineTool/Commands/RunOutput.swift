import Foretoken
import Synchronization

/// Takes the events of one generation: writes the text as it comes and keeps what is reported at
/// the end.
final class RunOutput: Sendable {
  /// What was generated so far.
  struct Transcript: Sendable {
    var text = ""
    var tokens: [Int32] = []
    var logProbabilities: [TokenLogProbabilities]?
    /// The text with accepted drafts marked; the plain text if no marks were asked for.
    var shownText = ""
    var counts = StepCounts()
  }

  private struct State {
    var transcript = Transcript()
    var summary: GenerationSummary?
    var markup: DraftMarkup?
  }

  private let turns: TextTurns?
  private let place: Int
  private let explains: Bool
  private let tokenizer: Tokenizer
  private let trace: TraceFile?
  private let generation: Int
  private let state: Mutex<State>

  /// - Parameters:
  ///   - turns: where the text is written as it comes; nil for nowhere.
  ///   - place: which of the texts that are written there this is, from 0.
  ///   - explains: whether the reasons of each step are written to standard error.
  ///   - markup: how accepted drafts are marked; nil for not at all.
  ///   - trace: where steps are written to.
  ///   - generation: number of the sample or turn, for the trace.
  init(
    turns: TextTurns?, place: Int = 0, explains: Bool = false, tokenizer: Tokenizer,
    markup: DraftMarkup? = nil, trace: TraceFile? = nil, generation: Int = 0
  ) {
    self.turns = turns
    self.place = place
    self.explains = explains
    self.tokenizer = tokenizer
    self.trace = trace
    self.generation = generation
    state = Mutex(State(markup: markup))
  }

  /// What was generated so far.
  var transcript: Transcript { state.withLock { $0.transcript } }
  /// The figures; nil before the end.
  var summary: GenerationSummary? { state.withLock { $0.summary } }
  /// What the marks mean; empty if none were asked for.
  var legend: [String] { state.withLock { $0.markup?.legend ?? [] } }

  /// - Throws: `OutputError`, `InputError` for the trace.
  func take(_ event: GenerationEvent) throws {
    switch event {
    case .step(let step):
      state.withLock {
        $0.transcript.counts.append(step)
        $0.markup?.append(step)
      }
      if explains {
        let number = transcript.counts.decodeSteps
        for line in DraftExplanation.lines(step, number: number) { note(line) }
      }
      try trace?.append(step, generation: generation)
    case .text(let piece):
      try write(
        state.withLock { state in
          let shown = state.markup?.append(piece, tokenizer: tokenizer) ?? piece.text
          state.transcript.append(piece, shown: shown)
          return shown
        })
    case .finish(let summary):
      state.withLock { $0.summary = summary }
      try closeMarks()
    case .prompt, .warning: break
    }
  }

  /// Writes a line before the text.
  /// - Throws: `OutputError`.
  func writeTitle(_ title: String) throws { try write(title + "\n") }

  /// Ends the line of the text if it does not end with one itself.
  /// - Throws: `OutputError`.
  func endLine() throws {
    try closeMarks()
    if transcript.shownText.last?.isNewline != true { try write("\n") }
  }

  /// The text is over: the next one may be written.
  /// - Throws: `OutputError`.
  func finish() throws {
    try endLine()
    try turns?.finish(place)
  }

  private func closeMarks() throws {
    try write(
      state.withLock { state in
        let closing = state.markup?.finish() ?? ""
        state.transcript.shownText += closing
        return closing
      })
  }

  private func write(_ text: String) throws {
    if !text.isEmpty { try turns?.write(text, of: place) }
  }
}

extension RunOutput.Transcript {
  fileprivate mutating func append(_ piece: TextPiece, shown: String) {
    text += piece.text
    shownText += shown
    tokens += piece.tokens
    if let entries = piece.logProbabilities {
      logProbabilities = (logProbabilities ?? []) + entries
    }
  }

  /// Mean log-probability of the tokens; nil without log-probabilities or tokens.
  var meanLogProbability: Double? {
    guard let entries = logProbabilities, !entries.isEmpty else { return nil }
    return entries.reduce(0) { $0 + Double($1.chosen.logProbability) } / Double(entries.count)
  }
}
