import Foretoken

/// Answers many prompts side by side, and one after another for comparison.
struct ConcurrencyBenchmark {
  let model: LanguageModel
  let prompts: [[Int32]]
  let counts: [Int]
  let repeats: Int

  /// Work of one method, in answers.
  var work: Double { Double(counts.reduce(0, +) * repeats + warmUps) }

  /// Prompts that are answered alone first: the texts to compare with.
  private var warmUps: Int { min(counts.max() ?? 1, prompts.count) }

  /// Measures one method at every number of sequences.
  /// - Throws: what generating throws; `CancellationError`.
  func run(
    _ options: GenerationOptions, name: String, _ progress: BenchProgress
  ) async throws -> [ConcurrencyReport.Row] {
    // Each method learns from its own runs only.
    let memory = "concurrency \(name)"
    await model.generator.setConcurrency(counts.max() ?? 1)
    var alone: [[Int32]] = []
    for prompt in prompts.prefix(warmUps) {
      progress.begin("\(name), one at a time")
      let found = try await answers([prompt], options, memory)
      alone.append(found.tokens[0])
      progress.add(1)
    }
    var runs: [Int: [Run]] = [:]
    for round in 0..<repeats {
      // Forwards and backwards, so that what moves the machine meets all of them.
      for count in round % 2 == 0 ? counts : counts.reversed() {
        progress.begin("\(name), \(count) at a time")
        // Few sequences take turns with the prompts, so that all numbers answer the same ones.
        let first = count * round
        let chosen = (first..<first + count).map { $0 % alone.count }
        let run = try await answers(chosen.map { prompts[$0] }, options, memory)
        let agree = zip(chosen, run.tokens).allSatisfy { alone[$0] == $1 }
        runs[count, default: []].append(Run(run, agree: agree))
        progress.add(Double(count))
      }
    }
    return counts.map { count in
      let runs = runs[count] ?? []
      return ConcurrencyReport.Row(
        method: name, sequences: count, rates: Samples(runs.map { $0.total / $0.seconds }),
        tokensPerPass: Samples(runs.map { $0.total / Double(max($0.passes, 1)) }).median,
        rowsPerPass: Samples(runs.map { $0.rows / Double(max($0.passes, 1)) }).median,
        textsAgree: runs.allSatisfy(\.agree))
    }
  }

  private struct Run {
    let total: Double
    let seconds: Double
    let passes: Int
    let rows: Double
    let agree: Bool

    init(_ found: Found, agree: Bool) {
      total = Double(found.tokens.reduce(0) { $0 + $1.count })
      seconds = found.seconds
      passes = found.passes
      rows = Double(found.rows)
      self.agree = agree
    }
  }

  private struct Found {
    var tokens: [[Int32]]
    var seconds: Double
    var passes: Int
    var rows: Int
  }

  private func answers(
    _ prompts: [[Int32]], _ options: GenerationOptions, _ memory: String
  ) async throws -> Found {
    let before = await model.generator.statistics
    let clock = ContinuousClock()
    let began = clock.now
    let streams = model.generator.generate(batch: prompts, options: options, memory: memory)
    let tokens = try await withThrowingTaskGroup(of: (Int, [Int32]).self) { group in
      for (index, events) in streams.enumerated() {
        group.addTask {
          var tokens: [Int32] = []
          for try await event in events {
            if case .text(let piece) = event { tokens += piece.tokens }
          }
          return (index, tokens)
        }
      }
      var tokens = [[Int32]](repeating: [], count: streams.count)
      for try await (index, found) in group { tokens[index] = found }
      return tokens
    }
    try Task.checkCancellation()
    let seconds = began.duration(to: clock.now) / .seconds(1)
    let after = await model.generator.statistics
    return Found(
      tokens: tokens, seconds: seconds, passes: after.passes - before.passes,
      rows: after.rows - before.rows)
  }
}

/// What was found, for people and machines.
struct ConcurrencyReport {
  /// One method at one number of sequences.
  struct Row {
    let method: String
    let sequences: Int
    /// Tokens per second of all sequences together.
    let rates: Samples
    let tokensPerPass: Double
    let rowsPerPass: Double
    /// Whether every text was the one that its prompt gives alone.
    let textsAgree: Bool
  }

  let model: String
  let threads: Int
  let tokens: Int
  let temperature: Double
  var rows: [Row]

  func lines(for stream: TextStream) -> [String] {
    let head =
      "\(stream.styled(model, .cyan)): \(threads) \(threads == 1 ? "thread" : "threads"), answers of "
      + "\(tokens) tokens, temperature \(readableRatio(temperature)), prefill included"
    var table = Table(
      .init("SPECULATE"), .init("SEQUENCES", .right), .init("TOKENS/S", .right, style: .bold),
      .init("SPREAD", .right), .init("OF ONE", .right), .init("TOKENS/PASS", .right),
      .init("ROWS/PASS", .right), .init("AS ALONE", .right))
    for row in rows {
      table.append(
        row.method, "\(row.sequences)", readableNumber(row.rates.median), row.rates.spread,
        "\(readableRatio(ratio(row)))", readableRatio(row.tokensPerPass),
        readableRatio(row.rowsPerPass), row.textsAgree ? "yes" : "NO")
    }
    return [head, ""] + table.lines(for: stream)
  }

  /// Tokens per second, to those of one sequence without drafts, or of the first row.
  private func ratio(_ row: Row) -> Double {
    let single = rows.first { $0.sequences == 1 && $0.method == "none" } ?? rows.first
    return row.rates.median / max(single?.rates.median ?? 0, 1e-9)
  }

  var json: JSONValue {
    [
      "model": .string(model), "threads": .integer(threads), "tokens": .integer(tokens),
      "temperature": .number(temperature),
      "rows": .array(
        rows.map { row in
          [
            "speculate": .string(row.method), "sequences": .integer(row.sequences),
            "tokens_per_second": row.rates.json, "of_one": rounded(ratio(row)),
            "tokens_per_pass": rounded(row.tokensPerPass),
            "rows_per_pass": rounded(row.rowsPerPass), "texts_agree": .bool(row.textsAgree),
          ]
        }),
    ]
  }
}
