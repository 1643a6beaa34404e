import Autograd
import Checkpoints
import Foundation

/// How a training runs.
public struct TrainingPlan: Sendable, Equatable, Codable {
  /// The learning rate, and the number of steps.
  public var schedule: Schedule
  /// Longest gradient; nil for any.
  public var clip: Double?
  /// Batches whose gradients are added up for a step.
  public var accumulation = 1
  /// Steps between two checkpoints.
  public var checkpointEvery = 100
  /// Decay of the moving average; nil for none.
  public var averageDecay: Float?

  /// A plan.
  public init(
    schedule: Schedule, clip: Double? = 1, accumulation: Int = 1, checkpointEvery: Int = 100,
    averageDecay: Float? = nil
  ) {
    self.schedule = schedule
    self.clip = clip
    self.accumulation = accumulation
    self.checkpointEvery = checkpointEvery
    self.averageDecay = averageDecay
  }
}

/// What a step was like.
public struct TrainingStep: Sendable, Codable, Equatable {
  /// Number of the step, from 0.
  public let step: Int
  /// Mean loss of its batches.
  public let loss: Double
  /// Length of the gradient before clipping.
  public let gradient: Double
  /// Learning rate.
  public let rate: Double
}

/// Runs training steps, keeps checkpoints, and goes on from the last one.
///
/// What a step does is a function of its number and of the state: data and noise have to be chosen by
/// seed and step. A run that was killed and resumed then has the bits of one that was not, at the same
/// number of BLAS threads.
public final class Trainer {
  /// How it runs.
  public let plan: TrainingPlan
  /// All steps so far.
  public private(set) var steps: [TrainingStep] = []
  /// Mean of the parameters over time, if the plan asks for it.
  public private(set) var average: MovingAverage?
  private let optimizer: any Optimizer
  private let folder: String?

  /// - Parameter folder: where checkpoints are kept; nil for none.
  public init(_ optimizer: any Optimizer, plan: TrainingPlan, folder: String? = nil) {
    self.optimizer = optimizer
    self.plan = plan
    self.folder = folder
    average = plan.averageDecay.map { MovingAverage(optimizer.parameters, decay: $0) }
  }

  /// Path of the latest checkpoint.
  public var checkpointPath: String? { folder.map { "\($0)/checkpoint.safetensors" } }
  /// Path of the one before it.
  public var previousPath: String? { folder.map { "\($0)/previous.safetensors" } }

  /// Runs the steps that are left.
  ///
  /// - Parameters:
  ///   - loss: of batch `batch` of step `step`, a scalar.
  ///   - report: called after every step.
  /// - Throws: `LearningError` if the loss is not a number; `CheckpointError`; what `report` throws.
  public func run(
    loss: (_ step: Int, _ batch: Int) throws -> Tensor, report: (TrainingStep) throws -> Void
  ) throws {
    while optimizer.stepCount < plan.schedule.total {
      let step = try take(optimizer.stepCount, loss)
      steps.append(step)
      try report(step)
      let done = optimizer.stepCount
      if folder != nil, done.isMultiple(of: plan.checkpointEvery) || done == plan.schedule.total {
        try save()
      }
    }
  }

  private func take(_ step: Int, _ loss: (Int, Int) throws -> Tensor) throws -> TrainingStep {
    let parameters = optimizer.parameters
    parameters.clearGradients()
    var total = 0.0
    for batch in 0..<max(plan.accumulation, 1) {
      let value = try loss(step, batch)
      total += Double(value.scalar)
      value.backward()
    }
    let count = Double(max(plan.accumulation, 1))
    guard total.isFinite else {
      throw LearningError(
        "step \(step):", "the loss is \(total); lower the learning rate, or look at the data")
    }
    if count > 1 { parameters.scaleGradients(Float(1 / count)) }
    let norm = plan.clip.map { parameters.clipGradients($0) } ?? parameters.gradientNorm
    let rate = plan.schedule.rate(step)
    optimizer.step(rate: Float(rate))
    average?.add(parameters)
    return TrainingStep(step: step, loss: total / count, gradient: norm, rate: rate)
  }

  // MARK: - Checkpoints

  /// Writes a checkpoint. The one before it stays under another name.
  /// - Throws: `CheckpointError`; the checkpoints are then as they were.
  public func save() throws {
    guard let path = checkpointPath, let previous = previousPath else { return }
    var writer = SafetensorsWriter()
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    writer.metadata = [
      "step": "\(optimizer.stepCount)",
      "plan": String(decoding: try encoder.encode(plan), as: UTF8.self),
      "steps": String(decoding: try encoder.encode(steps), as: UTF8.self),
    ]
    for (index, parameter) in optimizer.parameters.enumerated() {
      let tensor = parameter.tensor
      try writer.addTensor(
        "parameters.\(parameter.name)", shape: tensor.shape, values: tensor.values)
      for (name, arrays) in optimizer.state.sorted(by: { $0.key < $1.key }) {
        try writer.addTensor(
          "\(name).\(parameter.name)", shape: [arrays[index].count], values: arrays[index])
      }
      if let values = average?.values[index] {
        try writer.addTensor("average.\(parameter.name)", shape: [values.count], values: values)
      }
    }
    // The new file is complete on disk before the old one loses its name.
    let fresh = path + ".new"
    try writer.write(to: fresh)
    if FileManager.default.fileExists(atPath: path) { try Self.rename(path, previous) }
    try Self.rename(fresh, path)
  }

  private static func rename(_ from: String, _ to: String) throws {
    guard Foundation.rename(from, to) == 0 else {
      throw LearningError(from, "cannot be renamed to \(to)")
    }
  }

  /// Goes on from the latest checkpoint, if there is one.
  ///
  /// - Parameter usesPrevious: take the one before it, for the case that the latest is damaged.
  /// - Returns: false if there is none.
  /// - Throws: `CheckpointError` for a file that is damaged or of another training.
  public func resume(usesPrevious: Bool = false) throws -> Bool {
    guard let latest = checkpointPath, let previous = previousPath else { return false }
    let files = FileManager.default
    // Killed between the two renames of `save()`, a training has no file of the first name.
    let path = usesPrevious || !files.fileExists(atPath: latest) ? previous : latest
    guard files.fileExists(atPath: path) else { return false }
    do { try load(path) } catch let error as CheckpointError where !usesPrevious {
      throw LearningError(
        "\(error);",
        "the checkpoint before it is \(previous): use it with --resume-previous, or delete both")
    }
    return true
  }

  private func load(_ path: String) throws {
    let file = try SafetensorsFile(path: path)
    func values(_ name: String, _ count: Int) throws -> [Float] {
      let tensor = try file.tensor(named: name)
      guard tensor.count == count else {
        throw CheckpointError(
          .mismatched, file: path,
          "tensor '\(name)' has \(tensor.count) values, expected \(count): the checkpoint is of "
            + "another training")
      }
      return try file.floats(of: tensor)
    }
    guard let step = Int(file.metadata["step"] ?? ""), step >= 0,
      let history = try? JSONDecoder().decode(
        [TrainingStep].self, from: Data((file.metadata["steps"] ?? "").utf8)),
      let written = try? JSONDecoder().decode(
        TrainingPlan.self, from: Data((file.metadata["plan"] ?? "").utf8))
    else { throw CheckpointError(.malformed, file: path, "is not a checkpoint of a training") }
    guard written == plan else {
      throw CheckpointError(
        .mismatched, file: path, "was written with another plan; delete it to begin anew")
    }
    // Everything is read before anything is changed.
    let parameters = optimizer.parameters
    let weights = try parameters.map { try values("parameters.\($0.name)", $0.tensor.count) }
    var state = optimizer.state
    for (name, arrays) in state {
      state[name] = try parameters.indices.map {
        try values("\(name).\(parameters[$0].name)", arrays[$0].count)
      }
    }
    if average != nil {
      average?.values = try parameters.map { try values("average.\($0.name)", $0.tensor.count) }
    }
    for (parameter, values) in zip(parameters, weights) { parameter.tensor.values = values }
    optimizer.state = state
    optimizer.stepCount = step
    steps = history
  }
}
