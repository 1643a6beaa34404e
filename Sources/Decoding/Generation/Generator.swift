import Foundation
import Tokenization
import Transformers

/// Runs the generations of one engine, all on the engine's own thread.
///
/// Generations that run at the same time take turns, one forward pass each. Nothing finer than a
/// forward pass crosses into Swift's tasks.
public actor Generator {
  /// Names a conversation whose keys and values are kept between its turns.
  public struct ConversationID: Hashable, Sendable {
    private let id = UUID()
    /// A new conversation.
    public init() {}
  }

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
  private var activeCount = 0
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
    self.draftModel = draftModel
    self.costCurves = costCurves
  }

  /// Starts a generation and returns its events.
  ///
  /// Everything that can be wrong with the request is thrown by the stream before its first event.
  /// At most 256 events wait for a slow reader. Cancelling the reading task, or dropping the
  /// stream, ends the generation and frees its pages.
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
    let channel = EventChannel()
    Task { await run(prompt, options, conversation, memory, channel) }
    return channel.stream()
  }

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
    activeCount += 1
    var failure: (any Error)?
    do {
      let shared = speculationMemory(memory)
      let generation: any GenerationProcess =
        options.decoding == .plain
        ? try Generation(
          engine: engine, tokenizer: tokenizer, conversation: conversation, prompt: prompt,
          options: options, memory: shared.drafters, planning: shared.planning,
          draftModel: draftModel)
        : try SearchGeneration(
          engine: engine, tokenizer: tokenizer, conversation: conversation, prompt: prompt,
          options: options, draftModel: draftModel)
      failure = await drive(generation, channel)
    } catch {
      failure = error
    }
    activeCount -= 1
    // The pages are free before the reader sees the end of the stream.
    giveBack(conversation, id)
    channel.finish(throwing: failure)
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

  /// Steps until the end; returns the error that ended it, if one did.
  private func drive(_ generation: any GenerationProcess, _ channel: EventChannel) async -> (any Error)? {
    while !generation.isFinished {
      let events: [GenerationEvent]
      var failure: (any Error)?
      do {
        events = channel.isCancelled ? generation.end(.cancelled) : try generation.advance()
      } catch {
        failure = error
        events = generation.end(.error(String(describing: error)))
      }
      for event in events { await channel.send(event) }
      if let failure {
        try? generation.close()
        return failure
      }
      if activeCount > 1 { await Task.yield() }
    }
    do {
      try generation.close()
    } catch {
      return error
    }
    return nil
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
