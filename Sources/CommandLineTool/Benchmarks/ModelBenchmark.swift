import Compute
import Foretoken

/// Prefill, decode and wider passes of one model, straight on the forward engine.
struct ModelBenchmark {
  /// What is measured.
  struct Plan {
    /// Lengths of the context before the measured tokens.
    var contexts: [Int]
    /// Tokens of one prefill.
    var prefillTokens: Int
    /// Most rows of a pass whose cost is measured.
    var largestPass: Int
    /// Length of the context of those passes.
    var passContext: Int
    /// Most runs of each measurement.
    var repeats: Int

    /// Tokens a cache must hold.
    var longest: Int {
      let tokens = max(prefillTokens, ModelBenchmark.decodeSteps)
      return max((contexts.max() ?? 0) + tokens, passContext + largestPass)
    }
  }

  /// Where the time of a token goes, in seconds.
  struct Stages {
    var matrices = 0.0
    var attention = 0.0
    /// Norms, quantising of activations, writes of keys and values, embedding.
    var norms = 0.0
    var sampling = 0.0
    /// What none of these account for: the program around the passes, dispatch.
    var overhead = 0.0
    /// Time that a worker spent waiting for others or for work, on average of all workers. It is part
    /// of the stages above, not an addition to them.
    var waiting = 0.0

    static let names = ["matrices", "attention", "norms", "sampling", "overhead"]
    var values: [Double] { [matrices, attention, norms, sampling, overhead] }
  }

  /// Speed of prefill or decode at one context.
  struct Speed {
    /// Tokens per second of each run.
    let rates: Samples
    /// Means of all runs, per token.
    let stages: Stages
  }

  /// A pass over a token tree.
  struct Pass {
    let rows: Int
    /// Seconds of each run.
    let seconds: Samples
    /// Means of all runs.
    let stages: Stages
  }

  /// Figures at one length of context.
  struct Row {
    let context: Int
    let prefill: Speed
    let decode: Speed
  }

  static let decodeSteps = 32
  /// A measurement gets no further run once its runs have taken this long, if there are two.
  private static let secondsPerMeasurement = 4.0

  private let engine: ForwardEngine
  private let plan: Plan
  private let vocabulary: Int
  private let progress: BenchProgress
  private let processor: LogitsProcessor

  /// - Throws: errors of the weights or the engine.
  init(engine: ForwardEngine, plan: Plan, progress: BenchProgress) throws {
    self.engine = engine
    self.plan = plan
    self.progress = progress
    vocabulary = engine.model.configuration.vocabularyCount
    processor = try LogitsProcessor(options: .greedy, vocabularyCount: vocabulary, seed: 0)
  }

  /// Work of a whole benchmark, in rows of a pass.
  static func work(_ plan: Plan) -> Double {
    let passes = (1...plan.largestPass).reduce(0) { $0 + $1 + passWork }
    return Double(
      plan.contexts.count * (plan.prefillTokens + decodeSteps * passWork) * plan.repeats)
      + Double(passes * plan.repeats)
  }

  /// A pass costs about as much as this many rows more than it has.
  private static let passWork = 4

  /// Measures prefill and decode at every context, shortest first.
  /// - Throws: `ForwardError` or `SamplingError`.
  func measureContexts() throws -> [Row] {
    let base = engine.makeCache()
    defer { base.release() }
    return try plan.contexts.sorted().map { context in
      progress.begin("at \(context) tokens")
      try fill(base, to: context)
      let prefill = try speed(tokens: plan.prefillTokens) { try runPrefill(base) }
      progress.add(Double(plan.prefillTokens * plan.repeats))
      let decode = try speed(tokens: Self.decodeSteps) { try runDecode(base) }
      progress.add(Double(Self.decodeSteps * Self.passWork * plan.repeats))
      return Row(context: context, prefill: prefill, decode: decode)
    }
  }

  /// Passes of 1 to `largestPass` rows, a token tree each, with logits for every node. The sizes
  /// take turns, so that what disturbs the machine for a while meets all of them.
  ///
  /// - Throws: `ForwardError`.
  func measurePasses() throws -> [Pass] {
    let cache = engine.makeCache()
    defer { cache.release() }
    try fill(cache, to: plan.passContext)
    var runs = [[Run]](repeating: [], count: plan.largestPass)
    for round in 0...plan.repeats {
      progress.begin("passes of 1 to \(plan.largestPass) rows")
      for rows in 1...plan.largestPass {
        let run = try profiled { _ in try runTree(cache, rows: rows) }
        cache.rollback()
        guard round > 0 else { continue }
        runs[rows - 1].append(run)
        progress.add(Double(rows + Self.passWork))
      }
    }
    return runs.enumerated().map { index, runs in
      Pass(
        rows: index + 1, seconds: Samples(runs.map(\.seconds)),
        stages: stages(runs, tokens: Double(runs.count)))
    }
  }

  // MARK: Runs

  private struct Run {
    var seconds = 0.0
    var sampling = 0.0
    var profile: [String: UInt64] = [:]
    var work: UInt64 = 0
  }

  private func speed(tokens: Int, _ body: () throws -> Run) rethrows -> Speed {
    _ = try body()
    var runs: [Run] = []
    while runs.count < plan.repeats,
      runs.count < 2 || runs.reduce(0, { $0 + $1.seconds }) < Self.secondsPerMeasurement
    {
      runs.append(try body())
    }
    let count = Double(tokens)
    return Speed(
      rates: Samples(runs.map { count / $0.seconds }),
      stages: stages(runs, tokens: count * Double(runs.count)))
  }

  private func stages(_ runs: [Run], tokens: Double) -> Stages {
    var stages = Stages()
    for run in runs {
      for (operation, nanoseconds) in run.profile {
        let part = Double(nanoseconds) / 1e9 / tokens
        switch operation {
        case "matmul": stages.matrices += part
        case "attention", "merge": stages.attention += part
        default: stages.norms += part
        }
      }
      stages.sampling += run.sampling / tokens
      stages.overhead += run.seconds / tokens
    }
    let passes = stages.matrices + stages.attention + stages.norms
    stages.overhead -= passes + stages.sampling
    let work = runs.reduce(0) { $0 + Double($1.work) / 1e9 } / tokens
    stages.waiting = max(0, passes - work / Double(engine.threads))
    return stages
  }

  private func runPrefill(_ base: KVCache) throws -> Run {
    let cache = base.fork()
    defer { cache.release() }
    return try profiled { _ in _ = try engine.prefill(tokens(plan.prefillTokens), into: cache) }
  }

  /// Plain greedy decoding as `run` does it, without text and events.
  private func runDecode(_ base: KVCache) throws -> Run {
    let cache = base.fork()
    defer { cache.release() }
    var batch = ForwardBatch()
    var history = TokenHistory(tokens(1), capacity: Self.decodeSteps + 1)
    return try profiled { run in
      for _ in 0..<Self.decodeSteps {
        batch.removeAll()
        batch.append(chain: history.tokens.suffix(1), to: cache, logits: .last)
        let output = try engine.forward(batch)
        run.sampling += try seconds {
          history.append(try processor.chooseToken(logits: output.logits(0), history: history))
        }
        try cache.commitAll()
      }
    }
  }

  private func runTree(_ cache: KVCache, rows: Int) throws {
    var batch = ForwardBatch()
    // Every node has two children: half of the tree are branches.
    batch.append(
      tree: tokens(rows), parents: (0..<rows).map { Int32(($0 - 1) >> 1) }, to: cache, logits: .all)
    _ = try engine.forward(batch)
  }

  private func profiled(_ body: (inout Run) throws -> Void) rethrows -> Run {
    var run = Run()
    let before = engine.statistics
    run.seconds = try seconds { try body(&run) }
    run.profile = engine.statistics.profile.merging(before.profile) { $0 - $1 }
    run.work = engine.statistics.workNanoseconds - before.workNanoseconds
    return run
  }

  // MARK: Inputs

  /// Lengthens the cache with made-up keys and values: what they are does not matter for the time,
  /// and thousands of tokens would take longer than all that is measured.
  private func fill(_ cache: KVCache, to length: Int) throws {
    let configuration = engine.model.configuration
    let width = configuration.keyValueHeadCount * configuration.headDimension
    while cache.length < length {
      let count = min(256, length - cache.length)
      let floats = (0..<count * width).map { Float(($0 &* 7919 &+ cache.length) % 255 - 127) / 127 }
      let layers = [[Float]](repeating: floats, count: configuration.layerCount)
      try cache.inject(keys: layers, values: layers)
    }
  }

  /// Ids all over the vocabulary: which ones does not matter for the time.
  private func tokens(_ count: Int) -> [Int32] {
    (0..<count).map { Int32(($0 * 7919 + 13) % vocabulary) }
  }
}
