import Foretoken
import Foundation
import TestSupport
import Testing

@testable import Decoding

private struct Box: @unchecked Sendable { let state: RecyclingState }

extension RealModelTests {
  @Test("measure") func measure() async throws {
    guard let what = ProcessInfo.processInfo.environment["S1_MEASURE"] else { return }
    let model = try await LoadedModels.shared.model("smollm2-135m")
    let all = try SpecBenchSample.load()
    let vocabulary = model.configuration.vocabularyCount
    func run(
      _ label: String, _ prompts: [SpecBenchSample.Prompt], _ kind: DrafterKind, tokens: Int,
      budget: Int?
    ) async throws {
      var options = GenerationOptions(maxTokens: tokens, planner: .off)
      options.customDrafter = kind
      options.maximumDraft = budget
      var by: [String: (Double, Int)] = [:]
      var rows = 0, steps = 0, us = 0, draft = 0, verify = 0
      for prompt in prompts {
        let found = try await Collected(
          model.chat([ChatMessage(role: "user", content: prompt.prompt)], options: options))
        let s = found.steps.dropFirst()
        let mean = Double(s.map(\.emitted.count).reduce(0, +)) / Double(max(s.count, 1))
        by[prompt.category, default: (0, 0)].0 += mean
        by[prompt.category, default: (0, 0)].1 += 1
        rows += s.map(\.costs.forwardRows).reduce(0, +)
        us += s.map(\.costs.forwardMicroseconds).reduce(0, +)
        draft += s.map(\.costs.draftMicroseconds).reduce(0, +)
        steps += s.count
      }
      let total = by.values.map(\.0).reduce(0, +) / Double(prompts.count)
      print(
        "MEASURE", label, String(format: "%.3f", total), "rows/step", rows / max(steps, 1),
        "us/step", us / max(steps, 1), "draft us/step", draft / max(steps, 1),
        by.sorted { $0.key < $1.key }.map {
          "\($0.key) \(String(format: "%.2f", $0.value.0 / Double($0.value.1)))"
        }.joined(separator: ", "))
    }
    let mt = all.filter { $0.category != "summarization" }
    if what.contains("copy") {
      for (name, settings) in [
        ("ours", CopySettings()), ("paper", .paper),
      ] {
        try await run("copy \(name)", all, .copy(settings), tokens: 48, budget: nil)
      }
    }
    if what.contains("recycling") {
      func recycling(_ settings: RecyclingSettings, _ box: Box) -> DrafterKind {
        DrafterKind(name: "recycling", defaultNodes: 80) { _ in
          RecyclingDrafter(settings: settings, state: box.state)
        }
      }
      func box() -> Box {
        Box(
          state: RecyclingState(
            matrix: .init(vocabularyCount: vocabulary, successorCount: 8), template: .paper))
      }
      let b = box()
      try await run("recycling 80", mt, recycling(.init(), b), tokens: 48, budget: nil)
      let s = b.state
      for node in s.order {
        var path: [Int] = []; var at = node
        while at >= 0 { path.append(s.template.ranks[at]); at = s.template.parents[at] }
        print("NODE", path.reversed(), s.counts[node].runs, s.counts[node].acceptances)
      }
      try await run(
        "recycling 80 again", Array(mt.prefix(12)), recycling(.init(), b), tokens: 48, budget: nil)
      try await run("recycling 16", mt, recycling(.init(), box()), tokens: 48, budget: 16)
      try await run("recycling 8", mt, recycling(.init(), box()), tokens: 48, budget: 8)
      try await run("recycling 4", mt, recycling(.init(), box()), tokens: 48, budget: 4)
      try await run(
        "recycling 8 unseeded", Array(mt.prefix(24)),
        recycling(.init(seedsFromPrompt: false), box()), tokens: 48,
        budget: 8)
      try await run(
        "recycling 8 learnt", Array(mt.prefix(24)), recycling(.init(learnsTemplate: true), box()),
        tokens: 48,
        budget: 8)
    }
  }
}
