import Foundation
import Foretoken
import Synchronization
import TestSupport
import Testing

@testable import Decoding

/// Asks all members of the ensemble at every token of a plain generation, and drafts nothing.
final class RecordingDrafter: Drafter {
  let name = "recording"
  /// Trees by member, one for each step.
  final class Notes: Sendable {
    let trees = Mutex<[String: [TokenTree]]>([:])
  }

  private let notes: Notes
  private let members: [(name: String, drafter: any Drafter)]

  init(_ setup: DrafterSetup, _ notes: Notes) throws {
    self.notes = notes
    members =
      try DrafterRegistry.ensembleMembers.filter { $0.applies(setup) }
      .map { ($0.kind.name, try $0.kind.make(setup)) } + [
        ("stand", DrafterKind.stand().make(setup))
      ]
  }

  /// Nodes that are recorded of a proposal.
  private static let mostNodes = [
    "copy": 24, "input": 24, "recycling": 14, "aded": 12, "stand": 8, "draft-model": 6,
  ]

  func begin(_ context: DraftContext) throws {
    for member in members { try member.drafter.begin(context) }
  }

  func propose(
    _ budget: DraftBudget, context: DraftContext, into tree: inout TokenTree
  ) throws {
    for (name, drafter) in members {
      let most = Self.mostNodes[name] ?? 8
      var own = TokenTree()
      try drafter.propose(DraftBudget(nodes: most, depth: most), context: context, into: &own)
      notes.trees.withLock { $0[name, default: []].append(own) }
    }
  }

  func observe(_ step: DraftObservation, context: DraftContext) throws {
    for member in members { try member.drafter.observe(step, context: context) }
  }
}

extension RealModelTests {
  private static let recordingPath = ProcessInfo.processInfo.environment["FORETOKEN_RECORD"]

  /// Models that are recorded, with the one that drafts and the tokens of a text;
  /// `FORETOKEN_RECORD_MODELS` (aliases with commas) leaves out the others.
  private static var recordedModels: [(alias: String, draft: String?, tokens: Int)] {
    let chosen = ProcessInfo.processInfo.environment["FORETOKEN_RECORD_MODELS"]
      .map { $0.split(separator: ",").map(String.init) }
    return [
      ("smollm2-135m", nil, 80), ("qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b", 56),
    ].filter { chosen?.contains($0.0) ?? true }
  }

  /// Writes `Tests/Goldens/recorded_proposals.json` (to the path in `FORETOKEN_RECORD`).
  @Test("records what the drafters propose", .enabled(if: recordingPath != nil))
  func recordProposals() async throws {
    var recording = RecordedProposals()
    let prompts = try Self.recordedPrompts()
    for (alias, draft, tokens) in Self.recordedModels {
      let model = try await LanguageModel.load(alias, options: .init(draft: draft))
      for (category, text) in prompts {
        let notes = RecordingDrafter.Notes()
        var options = GenerationOptions(
          maxTokens: tokens, ignoresEndOfText: true, planner: .off)
        options.customDrafter = DrafterKind(name: "recording", defaultNodes: 24) {
          try RecordingDrafter($0, notes)
        }
        let prompt = try model.encode([ChatMessage(role: "user", content: text)])
        let found = try await Collected(model.generate(tokens: prompt, options: options))
        var item = RecordedProposals.Text(
          model: alias, category: category, tokens: found.tokens)
        for (name, trees) in notes.trees.withLock({ $0 }).sorted(by: { $0.key < $1.key }) {
          #expect(trees.count >= found.tokens.count - 2)
          item.keep(trees, of: name)
        }
        recording.texts.append(item)
      }
    }
    let path = try #require(Self.recordingPath)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    try encoder.encode(recording).write(to: URL(filePath: path), options: .atomic)
  }

  /// Three prompts of each category of Spec-Bench, and edits of a function.
  private static func recordedPrompts() throws -> [(category: String, text: String)] {
    struct Line: Decodable {
      let category: String
      let turns: [String]
    }
    let url = Goldens.directory.deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Benchmarks/spec-bench-sample.jsonl")
    let lines = try String(contentsOf: url, encoding: .utf8).split(separator: "\n").map {
      try JSONDecoder().decode(Line.self, from: Data($0.utf8))
    }
    let questions = Dictionary(grouping: lines, by: \.category).sorted { $0.key < $1.key }
      .flatMap { $0.value.prefix(3) }.map { ($0.category, $0.turns[0]) }
    let code = """
      def mean(values):
          total = 0
          for value in values:
              total += value
          return total / len(values)
      """
    return questions + [
      ("editing", "Rename `total` to `result` in this function and print it:\n\n\(code)"),
      ("editing", "Repeat this function exactly, twice:\n\n\(code)"),
    ]
  }
}
