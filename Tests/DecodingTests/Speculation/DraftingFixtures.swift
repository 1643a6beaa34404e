import Compute
import Foretoken
import Testing

@testable import Decoding

/// Questions of many kinds for drafters.
enum DraftingPrompts {
  static let questions = [
    "Explain in a few sentences why the sky is blue.",
    "Write a Python function that returns the n-th Fibonacci number.",
    "Tom has 3 boxes with 12 apples each and gives away 7 apples. How many are left?",
    "Write a short story about a fisherman who finds a bottle.",
    "List ten European countries and their capitals.",
    "What is photosynthesis?",
    "Write a polite email that asks for a day off.",
    "Explain how a bicycle stays upright.",
    "Write a haiku about autumn, then explain it.",
    "Compare cats and dogs as pets.",
    "How do I make pancakes? List the ingredients and the steps.",
    "What were the causes of the First World War?",
    "Explain recursion to a child.",
    "Write a SQL query that counts the orders of each customer.",
    "A train travels 60 miles an hour for 2.5 hours. How far does it go? Think step by step.",
    "Give three tips for learning a language.",
    "Describe the water cycle.",
    "Write a product description of a coffee mug.",
    "What is the difference between weather and climate?",
    "Summarise the story of Romeo and Juliet.",
    "Write an HTML page with a heading and a list of three fruits.",
    "What does a compiler do?",
    "Name five inventions and say who made them.",
    "How does a vaccine work?",
    "Write a dialogue between a teacher and a student about fractions.",
    "What should I see in Rome in two days?",
    "Explain the rules of chess briefly.",
    "Why do we have seasons?",
    "Write a function in C that reverses a string.",
    "Is a tomato a fruit? Explain your answer.",
  ]

  /// Greedy answers, which drafters are replayed on. Written once for a run of tests.
  static func answers(_ model: LanguageModel, maxTokens: Int) async throws -> [Answer] {
    if let known = await AnswerCache.shared.answers[maxTokens] { return known }
    var answers: [Answer] = []
    for question in questions {
      let prompt = try model.encode([ChatMessage(role: "user", content: question)])
      let options = GenerationOptions(maxTokens: maxTokens, speculation: .none)
      let found = try await Collected(model.generate(tokens: prompt, options: options))
      answers.append(Answer(prompt: prompt, tokens: found.tokens))
    }
    await AnswerCache.shared.keep(answers, maxTokens)
    return answers
  }

  struct Answer: Sendable {
    let prompt: [Int32]
    let tokens: [Int32]
  }

  private actor AnswerCache {
    static let shared = AnswerCache()
    var answers: [Int: [Answer]] = [:]
    func keep(_ value: [Answer], _ maxTokens: Int) { answers[maxTokens] = value }
  }
}

/// Tokens and passes of drafted generations.
struct DraftCount: CustomStringConvertible {
  var tokens = 0
  var forwards = 0

  var rate: Double { forwards > 0 ? Double(tokens) / Double(forwards) : 0 }
  var description: String { "\(tokens) tokens in \(forwards) passes" }

  /// Runs a drafter on an answer that is known, as greedy decoding would: for drafters that do not
  /// look at logits.
  mutating func replay(
    _ answer: DraftingPrompts.Answer, _ drafter: any Drafter, nodes: Int
  ) throws {
    var history = TokenHistory(answer.prompt, capacity: answer.prompt.count + answer.tokens.count)
    var tree = TokenTree()
    var next = answer.tokens[...]
    func context(_ history: TokenHistory) -> DraftContext {
      DraftContext(
        history: history, promptCount: answer.prompt.count, sampling: .greedy,
        noise: RandomStream(seed: 0), needsDistributions: false)
    }
    try drafter.begin(context(history))
    while let first = next.first {
      tree.removeAll()
      try drafter.propose(
        DraftBudget(nodes: nodes, depth: nodes), context: context(history), into: &tree)
      var emitted = [first]
      var accepted: [Int32] = []
      var node = TokenTree.root
      while let child = tree.child(of: node, token: emitted[emitted.count - 1]),
        let token = next.dropFirst(emitted.count).first
      {
        accepted.append(Int32(child))
        node = child
        emitted.append(token)
      }
      let position = history.count
      for token in emitted { history.append(token) }
      next = next.dropFirst(emitted.count)
      tokens += emitted.count
      forwards += 1
      try drafter.observe(
        DraftObservation(
          position: position, tree: tree, accepted: accepted, emitted: emitted,
          logits: TreeLogits(nil, rowCount: 0, vocabularyCount: 0), taps: []),
        context: context(history))
    }
  }

  /// Adds a generation's steps.
  mutating func add(_ steps: [StepTrace]) {
    tokens += steps.reduce(0) { $0 + $1.emitted.count }
    forwards += steps.count
  }
}
