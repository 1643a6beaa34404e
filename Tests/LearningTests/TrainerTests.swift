import Autograd
import Foundation
import TestSupport
import Testing

@testable import Learning

#if canImport(Glibc)
  import Glibc
#endif

/// A small regression whose data and dropout are functions of the step.
private struct Regression {
  let layers: [Linear]
  let parameters: [Parameter]

  init() {
    var initializer = Initializer(seed: 11)
    layers = [Linear(6, 32, bias: true, &initializer), Linear(32, 1, bias: true, &initializer)]
    parameters = layers.enumerated().flatMap { $1.parameters.named("layers.\($0)") }
  }

  func loss(_ step: Int, _ batch: Int) -> Tensor {
    var generator = SeededGenerator(seed: UInt64(1000 * step + batch))
    let x = Tensor((0..<96).map { _ in 2 * generator.unit() - 1 }, shape: [16, 6])
    let y = x.squared().sum([1], keepsDimensions: true)
    return layers[1](layers[0](x).tanh().dropout(0.1, seed: 5, layer: 0, step: step))
      .meanSquaredError(y)
  }

  static func trainer(_ folder: String, steps: Int = 60) -> (Trainer, [Parameter]) {
    let model = Regression()
    let plan = TrainingPlan(
      schedule: Schedule(.cosine, peak: 0.01, warmUp: 5, total: steps), accumulation: 2,
      checkpointEvery: 7, averageDecay: 0.9)
    return (Trainer(AdamW(model.parameters), plan: plan, folder: folder), model.parameters)
  }

  static func run(
    _ folder: String, report: (TrainingStep) throws -> Void = { _ in }
  ) throws -> (Trainer, [Parameter]) {
    let (trainer, parameters) = trainer(folder)
    _ = try trainer.resume()
    try trainer.run(loss: { Regression(parameters).loss($0, $1) }, report: report)
    return (trainer, parameters)
  }

  private init(_ parameters: [Parameter]) {
    self.parameters = parameters
    layers = [0, 2].map { Linear(weight: parameters[$0].tensor, bias: parameters[$0 + 1].tensor) }
  }
}

@Suite("Trainer", .serialized)
struct TrainerTests {
  private func bits(_ parameters: [Parameter]) -> [UInt32] {
    parameters.flatMap { $0.tensor.values.map(\.bitPattern) }
  }

  @Test("learns, and writes its history")
  func learns() throws {
    let folder = try TemporaryFolder()
    let (trainer, _) = try Regression.run(folder.url.path)
    #expect(trainer.steps.count == 60)
    #expect(trainer.steps[59].loss < 0.5 * trainer.steps[0].loss)
    #expect(trainer.steps.map(\.step) == Array(0..<60))
    let svg = LossCurve.svg(trainer.steps.map(\.loss), title: "a < b")
    #expect(svg.contains("a &lt; b") && svg.contains("60 steps"))
  }

  #if os(Linux)
    @Test(
      "a run that was killed and resumed has the bits of one that was not", arguments: [10, 31])
    func killed(_ at: Int) throws {
      BLAS.setThreads(1)
      let whole = try TemporaryFolder()
      let (trainer, expected) = try Regression.run(whole.url.path)
      let folder = try TemporaryFolder()
      // The child sends itself SIGKILL in the middle of training.
      #expect(try ChildProcess.run("kill", folder.url.path, at) == -SIGKILL)
      #expect(FileManager.default.fileExists(atPath: folder.path("checkpoint.safetensors")))
      let (resumed, found) = try Regression.run(folder.url.path)
      #expect(bits(found) == bits(expected))
      #expect(resumed.steps == trainer.steps)
      #expect(resumed.average?.values == trainer.average?.values)
    }
  #endif

  @Test("a damaged checkpoint is refused, and the one before it is used when asked")
  func damaged() throws {
    let folder = try TemporaryFolder()
    _ = try Regression.run(folder.url.path)
    let path = folder.path("checkpoint.safetensors")
    let whole = try Data(contentsOf: URL(filePath: path))
    for damage in [whole.dropLast(10), whole.prefix(100), Data("nonsense".utf8)] {
      try Data(damage).write(to: URL(filePath: path))
      let (trainer, parameters) = Regression.trainer(folder.url.path)
      let before = bits(parameters)
      #expect {
        try trainer.resume()
      } throws: {
        "\($0)".contains("--resume-previous")
      }
      #expect(bits(parameters) == before, "nothing was changed")
      #expect(try trainer.resume(usesPrevious: true))
      #expect(trainer.steps.count == 56)
    }
  }

  @Test("a checkpoint of another plan is refused")
  func otherPlan() throws {
    let folder = try TemporaryFolder()
    _ = try Regression.run(folder.url.path)
    let (trainer, _) = Regression.trainer(folder.url.path, steps: 80)
    #expect(throws: LearningError.self) { try trainer.resume() }
  }

  #if os(Linux)
    @Test("a full disk leaves the checkpoints as they were")
    func diskFull() throws {
      let folder = try TemporaryFolder()
      _ = try Regression.run(folder.url.path)
      let path = folder.path("checkpoint.safetensors")
      let before = try Data(contentsOf: URL(filePath: path))
      #expect(try ChildProcess.run("full", folder.url.path, 0) == ChildProcess.refused)
      #expect(try Data(contentsOf: URL(filePath: path)) == before)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path).count == 2)
    }
  #endif

  @Test("a loss that is no number stops the training with a message")
  func notANumber() throws {
    let folder = try TemporaryFolder()
    let (trainer, _) = Regression.trainer(folder.url.path)
    #expect {
      try trainer.run(loss: { _, _ in Tensor(.nan) }, report: { _ in })
    } throws: {
      "\($0)".contains("learning rate")
    }
  }
}

#if os(Linux)
  /// Runs a part of a test in a process of its own, which may be killed or lose the right to write.
  private enum ChildProcess {
    /// Exit status of a child that was refused what it should be refused.
    static let refused: Int32 = 42

    /// - Returns: the exit status, or minus the signal that killed it.
    static func run(_ task: String, _ folder: String, _ step: Int) throws -> Int32 {
      let child = Process()
      child.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
      child.arguments = ["--testing-library", "swift-testing", "--filter", "TrainerChild"]
      child.environment = ProcessInfo.processInfo.environment.merging([
        "FORETOKEN_TRAINER_TASK": task, "FORETOKEN_TRAINER_FOLDER": folder,
        "FORETOKEN_TRAINER_STEP": "\(step)",
      ]) { $1 }
      child.standardOutput = FileHandle.nullDevice
      child.standardError = FileHandle.nullDevice
      try child.run()
      child.waitUntilExit()
      let isKilled = child.terminationReason == .uncaughtSignal
      return isKilled ? -child.terminationStatus : child.terminationStatus
    }
  }

  @Suite("TrainerChild")
  struct TrainerChild {
    private static let environment = ProcessInfo.processInfo.environment

    @Test(
      "does what a test asked of it",
      .enabled(if: environment["FORETOKEN_TRAINER_TASK"] != nil))
    func task() throws {
      guard let folder = Self.environment["FORETOKEN_TRAINER_FOLDER"],
        let last = Int(Self.environment["FORETOKEN_TRAINER_STEP"] ?? "")
      else { return }
      BLAS.setThreads(1)
      if Self.environment["FORETOKEN_TRAINER_TASK"] == "kill" {
        _ = try Regression.run(folder) { step in
          if step.step == last { kill(getpid(), SIGKILL) }
        }
        return
      }
      // A limit on the size of files stands for a full disk: writing fails with an error.
      let (trainer, _) = Regression.trainer(folder)
      #expect(try trainer.resume())
      signal(SIGXFSZ, SIG_IGN)
      var small = rlimit(rlim_cur: 2000, rlim_max: 2000)
      guard setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &small) == 0 else { return }
      do { try trainer.save() } catch { exit(ChildProcess.refused) }
    }
  }
#endif
