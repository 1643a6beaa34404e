import Transformers

/// Beam search: follows the most probable beginnings of the text, all in one pass a step.
///
/// Every beam is a fork of the prompt's cache: pages are shared until one of two beams writes. With
/// several groups it is Diverse Beam Search (`GroupDiversity`).
///
/// A score is the sum of the model's log-probabilities at temperature 1, after bias and penalties,
/// added in the order of the tokens, as doubles. Logits do not depend on the batch, so it has the
/// bits of a sequence that is run alone.
final class BeamSearch: DecodingStrategy {
  private let options: BeamSearchOptions
  private let diversity: GroupDiversity
  private var groups: [BeamGroup] = []

  init(_ options: BeamSearchOptions, groups: Int, diversity: GroupDiversity) {
    self.options = options
    self.diversity = diversity
    groupCount = groups
  }

  private let groupCount: Int

  func begin(_ run: DecodingRun, logits: UnsafeBufferPointer<Float>) throws {
    let text = run.options.stopStrings.isEmpty ? nil : run.makeText()
    let root = Beam(cache: run.conversation.cache, text: text)
    groups = (0..<groupCount).map { _ in
      BeamGroup(size: options.beams / groupCount, root: root, options: options)
    }
    try choose(run) { _, _ in logits }
  }

  func step(_ run: DecodingRun) throws {
    let output = try run.extend(
      groups.flatMap(\.live).map { ($0.cache, [$0.tokens[$0.tokens.count - 1]]) })
    var firstRows: [Int] = []
    var rows = 0
    for group in groups {
      firstRows.append(rows)
      rows += group.live.count
    }
    try choose(run) { group, beam in output.logits(firstRows[group] + beam) }
  }

  /// Continues every group, in order: each sees what those before it chose.
  private func choose(
    _ run: DecodingRun, logits: (_ group: Int, _ beam: Int) -> UnsafeBufferPointer<Float>
  ) throws {
    for index in groups.indices where !groups[index].isDone {
      let earlier = groups[..<index].flatMap(\.live)
      let penalties = groups[index].live.map { diversity.penalties(for: $0, after: earlier) }
      var candidates: [[ScoredToken]] = []
      for (beam, penalty) in zip(groups[index].live, penalties) {
        let row = logits(index, candidates.count)
        candidates.append(
          try run.processor.withScores(row, history: run.history, path: beam.tokens) {
            $0.likeliest(2 * groups[index].size + penalty.count)
          })
      }
      let steps = BeamStep.best(
        2 * groups[index].size, scores: groups[index].live.map(\.score), candidates: candidates,
        penalties: penalties)
      try take(steps, in: index, run) { logits(index, $0) }
    }
    try finishIfDone(run)
  }

  /// Makes the chosen continuations the group's beams, and files those that end.
  private func take(
    _ steps: [BeamStep], in index: Int, _ run: DecodingRun,
    logits: (Int) -> UnsafeBufferPointer<Float>
  ) throws {
    let parents = groups[index].live
    var live: [Beam] = []
    for (rank, step) in steps.enumerated() where live.count < groups[index].size {
      var beam = parents[step.beam]
      beam.score = step.score
      beam.logProbability += step.logProbability
      if run.stops.contains(step.token) {
        guard rank < groups[index].size else { continue }
        groups[index].finish(
          beam, reason: .stopToken(step.token), length: beam.tokens.count + 1)
        continue
      }
      if let entry = try run.logProbabilities(
        step.token, logits: logits(step.beam), position: run.prompt.count + beam.tokens.count)
      {
        beam.entries.append(entry)
      }
      beam.tokens.append(step.token)
      if let stop = beam.text?.append(step.token, logProbabilities: nil).stop {
        guard rank < groups[index].size else { continue }
        groups[index].finish(beam, reason: .stopString(stop), length: beam.tokens.count)
        continue
      }
      live.append(beam)
    }
    shareCaches(&live, keeping: run.conversation.cache)
    groups[index].live = live
    groups[index].settle(longest: run.tokensLeft)
  }

  /// Gives every beam a cache of its own: the parent's to its first child, forks to the others.
  private func shareCaches(_ beams: inout [Beam], keeping prompt: KVCache) {
    var taken: Set<ObjectIdentifier> = [ObjectIdentifier(prompt)]
    for index in beams.indices {
      let cache = beams[index].cache
      if !taken.insert(ObjectIdentifier(cache)).inserted { beams[index].cache = cache.fork() }
    }
  }

  private func finishIfDone(_ run: DecodingRun) throws {
    for index in groups.indices where !groups[index].isDone {
      let isFull = groups[index].live.contains { $0.tokens.count >= run.tokensLeft }
      if isFull { groups[index].close(reason: run.limitReason) }
    }
    guard groups.allSatisfy(\.isDone) else { return }
    let found = GroupDiversity.merged(groups.map(\.finished))
    guard !found.isEmpty else { throw SamplingError.noCandidates(position: run.history.count) }
    run.finish(candidates: found)
  }
}

extension DecodingKind {
  /// `--decode beam`.
  static let beam = DecodingKind(
    name: "beam", abilities: .listsCandidates,
    validate: { try $0.beam.validate(results: $0.results) },
    make: { run in
      BeamSearch(
        run.options.search.beam, groups: 1, diversity: GroupDiversity(run.options.search.beam))
    })
}
