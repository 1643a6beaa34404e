import Transformers

/// One forward pass of several generations.
extension Scheduler {
  /// A generation's part of a pass.
  private struct Member {
    let process: ScheduledProcess
    let generation: Generation
    /// Tokens of the prompt to run; 0 for a step of decoding.
    var promptRows = 0

    var isDecoding: Bool { promptRows == 0 }
  }

  /// Runs a pass of generations that have the same options.
  ///
  /// - Returns: those that are decoding and had no room.
  func runPass(
    _ processes: [ScheduledProcess], _ options: ForwardOptions
  ) -> [ScheduledProcess] {
    var prompts: [Member] = []
    var decoders: [Member] = []
    for process in processes {
      guard let generation = process.generation else { continue }
      let member = Member(process: process, generation: generation)
      if generation.promptTokensLeft > 0 {
        prompts.append(member)
      } else if let last = generation.endIfFull() {
        process.take { last }
      } else {
        decoders.append(member)
      }
    }
    grantPromptRows(&prompts, besideDecoders: !decoders.isEmpty)
    let left = draft(&decoders, load(decoders, prompts))
    let used = decoders.reduce(0) { $0 + $1.generation.fixedRows }
    trim(&prompts, to: ForwardEngine.maximumRows - used)
    let load = load(decoders, prompts)
    splitNodes(decoders, load)
    run(decoders + prompts, options, load)
    return left
  }

  private func load(_ decoders: [Member], _ prompts: [Member]) -> PassLoad {
    PassLoad(
      sequences: max(decoders.count, 1), promptRows: prompts.reduce(0) { $0 + $1.promptRows })
  }

  // MARK: Before the pass

  /// Shares the rows for prompts out: half of them evenly, so that a short prompt does not wait for a
  /// long one, the others in order of arrival, so that prompts are done one after another.
  private func grantPromptRows(_ prompts: inout [Member], besideDecoders: Bool) {
    guard !prompts.isEmpty else { return }
    let needs = prompts.map { min($0.generation.promptTokensLeft, $0.generation.promptChunk) }
    let chunk = prompts.reduce(1) { max($0, $1.generation.promptChunk) }
    let rows = Self.promptRows(needs, total: besideDecoders ? min(chunk, mixedPromptRows) : chunk)
    for index in prompts.indices { prompts[index].promptRows = rows[index] }
    prompts.removeAll { $0.promptRows == 0 }
  }

  /// Takes rows that do not fit beside the decoders' from the latest prompts.
  private func trim(_ prompts: inout [Member], to most: Int) {
    var left = most
    for index in prompts.indices {
      prompts[index].promptRows = min(prompts[index].promptRows, left)
      left -= prompts[index].promptRows
    }
    prompts.removeAll { $0.promptRows == 0 }
  }

  /// Rows for each of the prompts, which need so many, `total` rows together at most.
  static func promptRows(_ needs: [Int], total: Int) -> [Int] {
    var left = total
    let share = max(total / 2 / max(needs.count, 1), 1)
    var rows = needs.map { need in
      let given = min(need, share, left)
      left -= given
      return given
    }
    for index in needs.indices {
      let more = min(needs[index] - rows[index], left)
      rows[index] += more
      left -= more
    }
    return rows
  }

  /// Drafts for everyone for whom there is room.
  ///
  /// - Returns: those who had no room.
  private func draft(_ decoders: inout [Member], _ load: PassLoad) -> [ScheduledProcess] {
    var room = ForwardEngine.maximumRows
    var taken: [Member] = []
    for (index, member) in decoders.enumerated() {
      member.generation.draft(load)
      room -= member.generation.fixedRows
      guard room >= 0 else {
        let left = decoders[index...].map(\.process)
        decoders = taken
        return left
      }
      taken.append(member)
    }
    decoders = taken
    return []
  }

  /// Lets the forest's planner choose among the candidates of all sequences.
  private func splitNodes(_ decoders: [Member], _ load: PassLoad) {
    let sharing = decoders.filter { $0.generation.speculation?.candidates.isEmpty == false }
    guard let model = costModels(sharing).first else { return }
    let rows = load.promptRows + decoders.reduce(0) { $0 + $1.generation.fixedRows }
    let position = meanPosition(decoders)
    let counts = planner.split(
      sharing.map { $0.generation.speculation?.candidates ?? [] },
      ForestPlanner.Costs(
        sequences: load.sequences, rows: rows, room: ForwardEngine.maximumRows - rows
      ) { model.microseconds(rows: $0, position: position, sequences: load.sequences) })
    for (member, count) in zip(sharing, counts) { member.generation.speculation?.keep(count) }
  }

  /// What passes cost by the planners of these generations, each account once.
  private func costModels(_ members: [Member]) -> [CostModel] {
    var models: [CostModel] = []
    for case let model? in members.map({ $0.generation.speculation?.sharing?.costs })
    where !models.contains(where: { $0 === model }) { models.append(model) }
    return models
  }

  private func meanPosition(_ members: [Member]) -> Int {
    members.reduce(0) { $0 + $1.generation.position } / max(members.count, 1)
  }

  // MARK: The pass and after it

  private func run(_ members: [Member], _ options: ForwardOptions, _ load: PassLoad) {
    guard !members.isEmpty else { return }
    batch.removeAll()
    let logits = members.map { $0.generation.append(to: &batch, promptRows: $0.promptRows) }
    let began = clock.now
    let output: ForwardOutput
    do { output = try engine.forward(batch, options: options) } catch {
      return runAlone(members, options, failed: error)
    }
    let duration = began.duration(to: clock.now)
    let position = meanPosition(members)
    let before = members.reduce(0) { $0 + $1.generation.summary.generatedTokens }
    var (row, logitsRow) = (0, 0)
    for (member, count) in zip(members, logits) {
      row += member.generation.rows
      let share = PassShare(
        logits: TreeLogits(output, first: logitsRow, count: count),
        taps: taps(output, options, rows: row - count..<row), duration: duration,
        load: member.isDecoding ? load : .alone)
      logitsRow += count
      member.process.take { try member.generation.settle(share) }
      member.process.prompt?.follow(member.process)
      if !member.isDecoding, member.generation.promptTokensLeft == 0 {
        prefixes.keep(member.generation.conversation)
      }
    }
    guard load.sequences > 1, load.promptRows == 0 else { return }
    let drafting = members.reduce(Duration.zero) { $0 + $1.generation.draftDuration }
    let given = members.reduce(-before) { $0 + $1.generation.summary.generatedTokens }
    learn(members, given: given, duration: duration, drafting: drafting, position: position, load)
  }

  /// A pass is refused for the rows of one of its sequences: let everybody find out alone.
  private func runAlone(
    _ members: [Member], _ options: ForwardOptions, failed error: any Error
  ) {
    if members.count == 1 { return members[0].process.fail(error) }
    for member in members {
      run([member], options, PassLoad(sequences: 1, promptRows: member.promptRows))
    }
  }

  /// Hidden states of these rows, by tap.
  private func taps(
    _ output: ForwardOutput, _ options: ForwardOptions, rows: Range<Int>
  ) -> [UnsafeBufferPointer<Float>] {
    let hiddenSize = engine.model.configuration.hiddenSize
    return options.taps.indices.map {
      UnsafeBufferPointer(
        rebasing: output.tap($0)[rows.lowerBound * hiddenSize..<rows.upperBound * hiddenSize])
    }
  }

  private func learn(
    _ members: [Member], given: Int, duration: Duration, drafting: Duration, position: Int,
    _ load: PassLoad
  ) {
    let models = costModels(members)
    guard let model = models.first else { return }
    let rows = batch.rowCount
    for model in models {
      model.observe(
        rows: rows, position: position, sequences: load.sequences,
        microseconds: duration / .microseconds(1))
    }
    func cost(_ rows: Int) -> Double {
      model.microseconds(rows: rows, position: position, sequences: load.sequences)
    }
    planner.observe(
      tokens: given, sequences: load.sequences, cost: cost(rows) + drafting / .microseconds(1),
      plainCost: cost(load.sequences))
  }
}
