import Foretoken

/// One choice of a chat's answer, as far as it is written.
struct ChatChoice {
  /// What an event adds to the choice.
  struct Delta {
    var content = ""
    var calls: [JSONValue] = []
    var logProbabilities: [JSONValue] = []
    var tokens: [Int32] = []
    var steps: [JSONValue] = []

    var isEmpty: Bool {
      content.isEmpty && calls.isEmpty && logProbabilities.isEmpty && steps.isEmpty
    }
  }

  private let tokenizer: Tokenizer
  private let traces: Bool
  private var parser: ToolCallParser?
  private var callCount = 0
  /// The summary, once the choice is over.
  private(set) var summary: GenerationSummary?

  init(tokenizer: Tokenizer, traces: Bool, findsCalls: Bool) {
    self.tokenizer = tokenizer
    self.traces = traces
    parser = findsCalls ? ToolCallParser() : nil
  }

  /// Whether the model has called something.
  var hasCalls: Bool { callCount > 0 }

  /// Takes an event.
  mutating func take(_ event: GenerationEvent) -> Delta {
    var delta = Delta()
    switch event {
    case .prompt, .warning: break
    case .step(let trace): if traces { delta.steps = [AnswerParts.step(trace, tokenizer)] }
    case .text(let piece):
      delta.tokens = piece.tokens
      delta.logProbabilities = (piece.logProbabilities ?? []).map {
        AnswerParts.logProbability($0, tokenizer)
      }
      if var parser {
        add(parser.append(piece.text), to: &delta)
        self.parser = parser
      } else {
        delta.content = piece.text
      }
    case .finish(let summary):
      self.summary = summary
      if var parser {
        add(parser.finish(), to: &delta)
        self.parser = parser
      }
    }
    return delta
  }

  private mutating func add(_ parts: [ToolCallParser.Part], to delta: inout Delta) {
    for part in parts {
      switch part {
      case .text(let text): delta.content += text
      case .call(let call):
        delta.calls.append([
          "index": .integer(callCount), "id": .string(Identifier.make("call_")),
          "type": "function",
          "function": ["name": .string(call.name), "arguments": .string(call.arguments)],
        ])
        callCount += 1
      }
    }
  }
}
