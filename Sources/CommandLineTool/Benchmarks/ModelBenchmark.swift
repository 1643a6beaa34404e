import Compute
import Foretoken

/// Prefill and decode of one model, straight on the forward engine.
struct ModelBenchmark {
  /// One measurement.
  struct Row {
    let name: String
    /// Tokens per second of each run.
    let rates: Samples
    /// Nanoseconds per token by kind of operation, of the calling worker.
    let profile: [(stage: String, nanoseconds: Double)]
  }

  static let prefillTokens = 512
  static let longContext = 1024
  private static let decodeSteps = 32

  private let reference: String
  private let engine: ForwardEngine
  private let vocabulary: Int

  /// - Throws: errors of the file, the weights or the engine.
  init(reference: String, path: String, threads: Int?, kv: KVType, context: Int?) throws {
    self.reference = reference
    let threads = threads ?? WorkerPool.defaultWorkers
    let weights = try Transformer(file: try GGUFFile(path: path), threads: threads)
    engine = try ForwardEngine(
      model: weights, threads: threads, kv: kv, contextLimit: context, profiles: true)
    vocabulary = weights.configuration.vocabularyCount
  }

  /// Measures everything `repeats` times, after one run that warms up.
  /// - Throws: `ForwardError`, for a context that is too small among others.
  func run(repeats: Int) throws -> ModelBenchmarkResult {
    let prefill = min(Self.prefillTokens, engine.contextLimit)
    var rows = [
      try measure("prefill \(prefill)", repeats: repeats) { try runPrefill(prefill) },
      try measure("decode at 0", repeats: repeats) { try runDecode(context: 1) },
    ]
    if Self.longContext + Self.decodeSteps <= engine.contextLimit {
      rows.append(
        try measure("decode at \(Self.longContext)", repeats: repeats) {
          try runDecode(context: Self.longContext)
        })
    }
    return ModelBenchmarkResult(
      reference: reference, threads: engine.threads, kv: engine.kv,
      weightBytes: engine.model.weightBytes,
      bandwidth: ReadBandwidth.measure(threads: engine.threads), rows: rows)
  }

  /// - Parameter body: one run; returns its tokens, seconds and profile.
  private func measure(_ name: String, repeats: Int, _ body: () throws -> Run) rethrows -> Row {
    _ = try body()
    let runs = try (0..<repeats).map { _ in try body() }
    let tokens = Double(runs.reduce(0) { $0 + $1.tokens })
    var total: [String: UInt64] = [:]
    for run in runs { total.merge(run.profile, uniquingKeysWith: +) }
    return Row(
      name: name, rates: Samples(runs.map { Double($0.tokens) / $0.seconds }),
      profile: total.map { ($0.key, Double($0.value) / tokens) }
        .filter { $0.1 > 0 }.sorted { $0.1 > $1.1 })
  }

  private struct Run {
    let tokens: Int
    let seconds: Double
    let profile: [String: UInt64]
  }

  private func runPrefill(_ count: Int) throws -> Run {
    let cache = engine.makeCache()
    defer { cache.release() }
    return try timed(tokens: count) { _ = try engine.prefill(tokens(count), into: cache) }
  }

  private func runDecode(context: Int) throws -> Run {
    let cache = engine.makeCache()
    defer { cache.release() }
    _ = try engine.prefill(tokens(context), into: cache)
    let steps = min(Self.decodeSteps, engine.contextLimit - context)
    var batch = ForwardBatch()
    return try timed(tokens: steps) {
      for token in tokens(steps) {
        batch.removeAll()
        batch.append(chain: CollectionOfOne(token), to: cache, logits: .last)
        _ = try engine.forward(batch)
        try cache.commitAll()
      }
    }
  }

  private func timed(tokens: Int, _ body: () throws -> Void) rethrows -> Run {
    let before = engine.statistics.profile
    let time = try seconds(body)
    let profile = engine.statistics.profile.merging(before) { $0 - $1 }
    return Run(tokens: tokens, seconds: time, profile: profile)
  }

  /// Ids all over the vocabulary: which ones does not matter for the time.
  private func tokens(_ count: Int) -> [Int32] {
    (0..<count).map { Int32(($0 * 7919 + 13) % vocabulary) }
  }
}

/// What a model's benchmark found, for people and machines.
struct ModelBenchmarkResult {
  let reference: String
  let threads: Int
  let kv: KVType
  /// Bytes of weights that one decoded token reads.
  let weightBytes: Int
  /// Bytes per second of a plain read.
  let bandwidth: Double
  let rows: [ModelBenchmark.Row]

  func lines(for stream: TextStream) -> [String] {
    var table = Table(
      .init(""), .init("TOKENS/S", .right, style: .bold), .init("SPREAD", .right),
      .init("WEIGHTS", .right), .init("OF READING", .right))
    for row in rows {
      let isDecode = row.name.hasPrefix("decode")
      table.append(
        row.name, readableNumber(row.rates.median), row.rates.spread,
        isDecode ? "\(ByteCount(Int(weightRate(row))))/s" : "",
        isDecode ? "\(Int((weightRate(row) / bandwidth * 100).rounded()))%" : "")
    }
    var lines = [
      stream.styled(reference, .bold)
        + ", \(threads) \(threads == 1 ? "thread" : "threads"), k/v \(kv.rawValue), "
        + "\(ByteCount(weightBytes)) read per token"
    ]
    lines += table.lines(for: stream)
    lines.append(stream.styled("plain read of memory: \(ByteCount(Int(bandwidth)))/s", .dim))
    for row in rows { lines += [""] + profileLines(row, stream) }
    return lines
  }

  private func profileLines(_ row: ModelBenchmark.Row, _ stream: TextStream) -> [String] {
    let total = row.profile.reduce(0) { $0 + $1.nanoseconds }
    var table = Table(
      .init("STAGES OF " + row.name.uppercased()), .init("µS/TOKEN", .right),
      .init("SHARE", .right))
    for (stage, nanoseconds) in row.profile {
      table.append(
        stage, readableNumber(nanoseconds / 1000), "\(Int((nanoseconds / total * 100).rounded()))%")
    }
    return table.lines(for: stream)
  }

  private func weightRate(_ row: ModelBenchmark.Row) -> Double {
    row.rates.median * Double(weightBytes)
  }

  var json: JSONValue {
    [
      "model": .string(reference), "threads": .integer(threads), "kv": .string(kv.rawValue),
      "weight_bytes": .integer(weightBytes),
      "read_bytes_per_second": .number(bandwidth.rounded()),
      "rows": .array(
        rows.map { row in
          [
            "name": .string(row.name), "tokens_per_second": row.rates.json,
            "profile_ns_per_token": .object(
              JSONObject(row.profile.map { ($0.stage, rounded($0.nanoseconds)) })),
          ]
        }),
    ]
  }
}
