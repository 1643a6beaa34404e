import Foundation
import Tokenization
import Transformers

/// Runs the generations of one engine, all on the engine's own thread.
///
/// Generations that run at the same time share their forward passes: each gives the tokens that it
/// gives alone, and a pass of many rows costs less than many passes. Nothing finer than a forward
/// pass crosses into Swift's tasks.
public actor Generator {
  /// Names a conversation whose keys and values are kept between its turns.
  public struct ConversationID: Hashable, Sendable {
    private let id = UUID()
    /// A new conversation.
    public init() {}
  }

  /// Generations that run at the same time, unless `setConcurrency` says another number.
  public static let defaultConcurrency = 64

  /// Turns text into tokens and back.
  public nonisolated let tokenizer: Tokenizer
  /// The model's shape.
  public nonisolated let configuration: ModelConfiguration
  /// Most tokens of one sequence, prompt and output together.
  public nonisolated let contextLimit: Int
  /// Type of cached keys and values.
  public nonisolated let kv: KVType
  /// Worker threads of a pass.
  public nonisolated let threads: Int

  /// The engine's thread.
  public nonisolated var unownedExecutor: UnownedSerialExecutor {
    executor.asUnownedSerialExecutor()
  }

  private nonisolated let executor: ThreadExecutor
  let engine: ForwardEngine
  private var conversations: [ConversationID: Conversation] = [:]
  private let scheduler: Scheduler
  private nonisolated let wake = WakeSignal()
  private var isDriving = false
  private var memories: [String: SpeculationMemory] = [:]
  private let costCurves: CostCurveStore?
  private let draftModel: DraftModel?

  /// Takes over an engine.
  ///
  /// - Parameters:
  ///   - engine: made on the executor's thread, and used by nobody else.
  ///   - tokenizer: the tokenizer of the engine's model.
  ///   - executor: the engine's thread.
  ///   - draftModel: a smaller model that may draft, on the same thread.
  ///   - costCurves: where the engine's cost curve is kept between processes; nil to measure it in
  ///     each process that plans.
  /// - Throws: `GenerationError.vocabularyMismatch`.
  public init(
    engine: sending ForwardEngine, tokenizer: Tokenizer, executor: ThreadExecutor,
    draftModel: sending DraftModel? = nil, costCurves: CostCurveStore? = nil
  ) throws {
    let model = engine.model.configuration
    guard tokenizer.vocabularyCount <= model.vocabularyCount else {
      throw GenerationError.vocabularyMismatch(
        tokenizer: tokenizer.vocabularyCount, model: model.vocabularyCount)
    }
    self.tokenizer = tokenizer
    self.executor = executor
    configuration = model
    contextLimit = engine.contextLimit
    kv = engine.kv
    threads = engine.threads
    self.engine = engine
    scheduler = Scheduler(engine: engine)
    self.draftModel = draftModel
    self.costCurves = costCurves
  }

  /// Starts a generation and returns its events.
  ///
  /// Everything that can be wrong with the request is thrown by the stream before its first event.
  /// About 256 events wait for a slow reader, then the generation pauses until the reader has
  /// caught up; others go on. Cancelling the reading task, or dropping the stream, ends the
  /// generation and frees its pages.
  ///
  /// - Parameters:
  ///   - prompt: token ids, the ones at the beginning of the text included.
  ///   - conversation: keeps the keys and values for the next turn of this conversation. A turn
  ///     that is still being answered is cancelled.
  ///   - memory: name of the memory in which drafters and planners keep what they learn. Generations
  ///     of another name learn nothing from this one, so that measurements do not help each other.
  public nonisolated func generate(
    _ prompt: [Int32], options: GenerationOptions = .init(),
    conversation: ConversationID? = nil, memory: String = ""
  ) -> AsyncThrowingStream<GenerationEvent, any Error> {
    let channel = EventChannel(wake: wake)
    Task { await run(prompt, options, conversation, memory, channel) }
    return channel.stream()
  }

  /// Starts several generations of one prompt, and returns the events of each.
  ///
  /// The prompt is run once; its keys and values are shared until the samples part. Samples share
  /// what drafters may share (the probabilities of STAND, for example), and run side by side.
  ///
  /// - Parameters:
  ///   - prompt: token ids, the ones at the beginning of the text included.
  ///   - samples: the options of each sample; without seeds of their own they draw one each.
  ///   - memory: as for `generate(_:options:conversation:memory:)`.
  ///   - cancellation: ends the samples from outside.
  public nonisolated func generate(
    _ prompt: [Int32], samples: [GenerationOptions], memory: String = "",
    cancellation: GenerationCancellation? = nil
  ) -> [AsyncThrowingStream<GenerationEvent, any Error>] {
    let channels = samples.map { _ in EventChannel(wake: wake) }
    cancellation?.attach(channels)
    Task { await run(prompt, samples, memory, channels) }
    return channels.map { $0.stream() }
  }

  /// Starts a generation for each of several prompts, and returns the events of each. They begin
  /// together, in this order.
  ///
  /// - Parameters:
  ///   - prompts: token ids of each prompt.
  ///   - options: of every generation.
  ///   - memory: as for `generate(_:options:conversation:memory:)`.
  public nonisolated func generate(
    batch prompts: [[Int32]], options: GenerationOptions = .init(), memory: String = ""
  ) -> [AsyncThrowingStream<GenerationEvent, any Error>] {
    let channels = prompts.map { _ in EventChannel(wake: wake) }
    Task { await run(prompts, options, memory, channels) }
    return channels.map { $0.stream() }
  }

  /// Sets how many generations run at the same time, 1 or more; the others wait for one to end. One
  /// whose reader is behind does not count. `defaultConcurrency` unless it is set.
  public func setConcurrency(_ count: Int) { scheduler.mostRunning = max(count, 1) }

  /// Keeps keys and values of prompts and answers for prompts that begin the same way, up to so many
  /// bytes; 0, as it is unless set, keeps none.
  ///
  /// What is kept is shared by everyone who generates: who can measure the time to a first token can
  /// tell whether somebody has sent the same beginning before.
  public func setPrefixCache(bytes: Int) { scheduler.prefixes.byteLimit = max(bytes, 0) }

  /// What is kept of prompts, and how often it was of use.
  public var prefixCache: PrefixCacheStatistics { scheduler.prefixes.statistics }

  /// Frees the keys and values of a conversation. One that is being answered is freed at its end.
  public func forget(_ conversation: ConversationID) {
    guard let state = conversations.removeValue(forKey: conversation) else { return }
    if state.answer == nil { state.cache.release() }
  }

  /// Forgets what drafters and planners have learnt in the memory of this name.
  public func forgetMemory(_ memory: String = "") { memories[memory] = nil }

  /// Pages of key/value memory that are in use.
  public var usedPages: Int { engine.usedPages }

  /// Forward passes and rows so far.
  public var statistics: ForwardStatistics { engine.statistics }

  // MARK: Running

  private func run(
    _ prompt: [Int32], _ options: GenerationOptions, _ id: ConversationID?, _ memory: String,
    _ channel: EventChannel
  ) async {
    let conversation = await claim(id, channel)
    scheduler.add(
      ScheduledProcess(channel: channel, conversation: conversation, id: id) {
        try self.process(prompt, options, conversation, memory)
      })
    await drive()
  }

  private func run(
    _ prompt: [Int32], _ samples: [GenerationOptions], _ memory: String,
    _ channels: [EventChannel]
  ) async {
    let shared = SharedPrompt(samples: samples.count)
    let samplesMemory = DrafterMemory()
    for (options, channel) in zip(samples, channels) {
      let conversation = Conversation(cache: engine.makeCache(), samplesMemory: samplesMemory)
      scheduler.add(
        ScheduledProcess(channel: channel, conversation: conversation, prompt: shared) {
          try self.process(prompt, options, conversation, memory)
        })
    }
    await drive()
  }

  private func run(
    _ prompts: [[Int32]], _ options: GenerationOptions, _ memory: String,
    _ channels: [EventChannel]
  ) async {
    for (prompt, channel) in zip(prompts, channels) {
      let conversation = Conversation(cache: engine.makeCache())
      scheduler.add(
        ScheduledProcess(channel: channel, conversation: conversation) {
          try self.process(prompt, options, conversation, memory)
        })
    }
    await drive()
  }

  /// What does the work of a request.
  private func process(
    _ prompt: [Int32], _ options: GenerationOptions, _ conversation: Conversation,
    _ memory: String
  ) throws -> any GenerationProcess {
    guard options.decoding == .plain else {
      return try SearchGeneration(
        engine: engine, tokenizer: tokenizer, conversation: conversation, prompt: prompt,
        options: options, draftModel: draftModel)
    }
    let shared = speculationMemory(memory)
    if conversation.tokens.isEmpty, let pages = scheduler.prefixes.pages(for: prompt) {
      try conversation.begin(with: pages, of: prompt)
    }
    return try Generation(
      engine: engine, tokenizer: tokenizer, conversation: conversation, prompt: prompt,
      options: options, memory: shared.drafters, planning: shared.planning,
      draftModel: draftModel)
  }

  /// Steps until nothing is left to run. Whoever comes while someone else drives has only added to
  /// what is run.
  private func drive() async {
    wake.set()
    guard !isDriving else { return }
    isDriving = true
    while !scheduler.isEmpty {
      let (ended, hasRun) = scheduler.step()
      for process in ended {
        if process.generation != nil, process.failure == nil, process.id == nil {
          scheduler.prefixes.keep(process.conversation)
        }
        // The pages are free before the reader sees the end of the stream.
        giveBack(process.conversation, process.id)
        process.channel.finish(throwing: process.failure)
      }
      if !hasRun && ended.isEmpty {
        await wake.wait()
      } else if executor.hasWaitingJobs {
        await Task.yield()
      }
    }
    isDriving = false
  }

  /// What drafters and planners keep between generations.
  private struct SpeculationMemory {
    let drafters = DrafterMemory()
    let planning: PlanningMemory
  }

  private func speculationMemory(_ name: String) -> SpeculationMemory {
    if let known = memories[name] { return known }
    let memory = SpeculationMemory(planning: PlanningMemory(store: costCurves))
    memories[name] = memory
    return memory
  }

  /// The sequence to generate in. A conversation that is still being answered is interrupted.
  private func claim(_ id: ConversationID?, _ channel: EventChannel) async -> Conversation {
    guard let id else { return Conversation(cache: engine.makeCache()) }
    while let running = conversations[id], let answer = running.answer {
      answer.cancel()
      await withCheckedContinuation { running.waiting.append($0) }
    }
    let conversation = conversations[id] ?? Conversation(cache: engine.makeCache())
    conversation.answer = channel
    conversations[id] = conversation
    return conversation
  }

  private func giveBack(_ conversation: Conversation, _ id: ConversationID?) {
    conversation.answer = nil
    let isKept = id.map { conversations[$0] === conversation } ?? false
    if isKept { conversation.cache.rollback() } else { conversation.cache.release() }
    for next in conversation.waiting { next.resume() }
    conversation.waiting.removeAll()
  }
}
