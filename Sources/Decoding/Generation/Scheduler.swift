import Transformers

/// Runs the processes of one engine side by side: all generations whose passes have the same options
/// share one forward pass, a forest of their prompts and drafted trees.
///
/// Who else is in a pass changes none of a generation's bits, so what is decided here (who runs, how
/// many tokens of a prompt, how many drafted nodes) changes times and never a token.
///
/// A step is one pass for each set of options, and one `advance` for every process that runs its own
/// passes. Every generation that is decoding and whose reader keeps up is in every pass that has
/// room for it; who had none goes first in the next one. Prompts get the rows that are left, a few
/// at a time while others decode.
///
/// Not Sendable: it belongs to the engine's thread.
final class Scheduler {
  /// Most rows of prompts in a pass in which others decode. A pass of 32 rows takes four to seven times
  /// as long as one of a single row (`bench model`): that much a long prompt may slow others down.
  let mixedPromptRows = 32

  let engine: ForwardEngine
  /// Most processes that run at the same time; others wait for one to end. Processes whose reader is
  /// behind do not count.
  var mostRunning = Generator.defaultConcurrency
  /// Prompts that may come again.
  let prefixes = PrefixCache()
  private var processes: [ScheduledProcess] = []
  // Of the passes.
  var planner = ForestPlanner()
  var batch = ForwardBatch()
  let clock = ContinuousClock()

  init(engine: ForwardEngine) { self.engine = engine }

  /// True if there is nothing to run.
  var isEmpty: Bool { processes.isEmpty }

  /// Puts a process at the end of the queue.
  func add(_ process: ScheduledProcess) { processes.append(process) }

  /// Does one step.
  ///
  /// - Returns: the processes that are over now, and whether anything was run: if not, nothing can
  ///   be before a reader has caught up.
  func step() -> (ended: [ScheduledProcess], hasRun: Bool) {
    let ready = admit()
    for process in ready {
      if let stepped = process.process as? any SteppedProcess {
        process.take { try stepped.advance() }
      }
    }
    var rest = ready.filter { $0.generation != nil && !$0.isOver }
    while let options = rest.first?.generation?.passOptions {
      let left = runPass(rest.filter { $0.generation?.passOptions == options }, options)
      putFirst(left)
      rest.removeAll { $0.generation?.passOptions == options }
    }
    let ended = processes.filter(\.isOver)
    if !ended.isEmpty { processes.removeAll(where: \.isOver) }
    return (ended, !ready.isEmpty)
  }

  /// Ends processes whose readers have gone, begins as many as may run, and returns those that can
  /// take a step.
  private func admit() -> [ScheduledProcess] {
    var ready: [ScheduledProcess] = []
    for process in processes {
      switch process.channel.demand {
      case .full: continue
      case .cancelled:
        begin(process)
        process.cancel()
        continue
      case .open: break
      }
      guard ready.count < mostRunning || process.process != nil else { continue }
      guard process.process != nil || process.prompt?.admits(process) ?? true else { continue }
      begin(process)
      if !process.isOver { ready.append(process) }
    }
    return ready
  }

  /// Lets those go first in the next pass that had no room in this one.
  private func putFirst(_ left: [ScheduledProcess]) {
    guard !left.isEmpty else { return }
    processes.removeAll { process in left.contains { $0 === process } }
    processes.insert(contentsOf: left, at: 0)
  }

  private func begin(_ process: ScheduledProcess) {
    guard process.process == nil else { return }
    process.begin()
    process.prompt?.begin(process)
  }
}
