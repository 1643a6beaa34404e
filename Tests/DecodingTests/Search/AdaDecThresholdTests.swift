import Checkpoints
import Foretoken
import Foundation
import TestSupport
import Testing
import Transformers

@testable import Decoding

@Suite struct AdaDecThresholdTests {
  private static let training = AdaDecThreshold.Training(
    source: "made up", license: "CC0-1.0", items: 1, steps: 1)

  private static func learn(_ steps: [AdaDecThreshold.Step]) throws -> AdaDecThreshold {
    try AdaDecThreshold(
      learning: steps, model: "toy", modelBytes: 7, training: training, command: "train")
  }

  /// Steps of a logistic law: entropies as models have them, many near 0.
  private static func steps(
    _ count: Int, _ law: LogisticRegression, seed: UInt64 = 1
  ) -> [AdaDecThreshold.Step] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { _ in
      let entropy = -log(max(Double(random.unit()), 1e-9)) * 0.6
      let isRight = Double(random.unit()) < law.probability(entropy)
      return .init(entropy: entropy, rank: isRight ? 0 : 1 + Int(random.next() % 5))
    }
  }

  @Test("the regression finds the law that its samples came from")
  func regression() throws {
    let law = LogisticRegression(intercept: 1.7, slope: -4.3)
    let samples = Self.steps(20_000, law).map {
      LogisticRegression.Sample(feature: $0.entropy, isPositive: $0.rank == 0)
    }
    let fit = try #require(LogisticRegression(fitting: samples))
    #expect(abs(fit.intercept / law.intercept - 1) < 0.05)
    #expect(abs(fit.slope / law.slope - 1) < 0.05)
    #expect(abs(fit.feature(atProbability: 0.5) - 1.7 / 4.3) < 0.02)
    // The gradient of the likelihood vanishes.
    let errors = samples.map { sample -> Double in
      (sample.isPositive ? 1 : 0) - fit.probability(sample.feature)
    }
    let sum: Double = errors.reduce(0, +)
    let moment = zip(errors, samples).map { error, sample in error * sample.feature }.reduce(0, +)
    #expect(abs(sum) < 1e-3)
    #expect(abs(moment) < 1e-3)
  }

  @Test("classes that do not overlap, and single classes, have no infinite coefficients")
  func separable() throws {
    let samples = (0..<100).map {
      LogisticRegression.Sample(feature: Double($0), isPositive: $0 < 50)
    }
    let fit = try #require(LogisticRegression(fitting: samples))
    #expect(fit.slope.isFinite && fit.slope < 0)
    #expect(abs(fit.feature(atProbability: 0.5) - 49.5) < 0.5)
    #expect(LogisticRegression(fitting: Array(samples.prefix(50))) == nil)
  }

  @Test("the threshold cuts where most held-out steps are called rightly")
  func threshold() throws {
    // Right nine times in ten below 1 nat, one time in five above it.
    var random = SeededGenerator(seed: 4)
    let steps = (0..<40_000).map { _ in
      let entropy = Double(random.unit()) * 2
      let isRight = Double(random.unit()) < (entropy < 1 ? 0.9 : 0.2)
      return AdaDecThreshold.Step(entropy: entropy, rank: isRight ? 0 : 2)
    }
    let learnt = try Self.learn(steps)
    #expect(abs(learnt.threshold - 1) < 0.06)
    #expect(abs(learnt.topShare - 0.55) < 0.01)
    #expect(abs(learnt.pauseShare - 0.5) < 0.05)
    #expect(abs(learnt.topShareAtPauses - 0.2) < 0.05)
    #expect(learnt.topThreeShareAtPauses == 1)
    // Known law of the card's size: the balanced fit moves the intercept, the cut moves it back.
    let law = LogisticRegression(intercept: 3.2, slope: -3)
    let other = try Self.learn(Self.steps(40_000, law))
    #expect(abs(other.threshold - 3.2 / 3) < 0.15)
    #expect(other.areaUnderCurve > 0.75)
  }

  @Test("the area under the curve is the share of pairs in the right order")
  func area() throws {
    var random = SeededGenerator(seed: 8)
    let steps = (0..<400).map { _ in
      let entropy = Double(random.next() % 20) / 10
      return AdaDecThreshold.Step(
        entropy: entropy, rank: Double(random.unit()) < 1 - entropy / 3 ? 0 : 1)
    }
    var (sum, pairs) = (0.0, 0.0)
    for right in steps where right.rank == 0 {
      for wrong in steps where wrong.rank > 0 {
        pairs += 1
        sum += wrong.entropy > right.entropy ? 1 : wrong.entropy == right.entropy ? 0.5 : 0
      }
    }
    let found = try Self.learn(steps).areaUnderCurve
    #expect(abs(found - sum / pairs) < 1e-9)
  }

  @Test("steps that say nothing are an error")
  func useless() {
    #expect(throws: AdaDecThresholdError.tooFewSteps(steps: 0, wrong: 0)) { try Self.learn([]) }
    let right = (0..<50).map { AdaDecThreshold.Step(entropy: Double($0), rank: 0) }
    #expect(throws: AdaDecThresholdError.tooFewSteps(steps: 50, wrong: 0)) {
      try Self.learn(right)
    }
    let inverted = (0..<500).map {
      AdaDecThreshold.Step(entropy: Double($0 % 10), rank: $0 % 10 > 4 ? 0 : 1)
    }
    #expect(throws: AdaDecThresholdError.self) { try Self.learn(inverted) }
  }

  @Test("a file gives back what was written, and another file is refused")
  func files() throws {
    let folder = try TemporaryFolder()
    let learnt = try Self.learn(
      Self.steps(3000, LogisticRegression(intercept: 3, slope: -3)))
    let url = URL(filePath: try folder.write(try learnt.json().utf8, to: "threshold.json"))
    #expect(try AdaDecThreshold(contentsOf: url) == learnt)
    for text in [
      "", "{}", "[]", "nonsense", #"{"threshold_nats": "one"}"#,
      try learnt.json().replacing("\"threshold_nats\" : ", with: "\"threshold_nats\" : -"),
    ] {
      let file = URL(filePath: try folder.write(text.utf8, to: "other.json"))
      #expect(throws: AdaDecThresholdError.self) { try AdaDecThreshold(contentsOf: file) }
    }
    #expect(throws: CheckpointError.self) { try AdaDecThreshold(contentsOf: folder.url) }
  }

  @Test("the thresholds that come with the project are those of the files in Artifacts")
  func known() throws {
    let folder = Goldens.directory.deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Artifacts")
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
      .filter { $0.hasPrefix("adadec-") && $0.hasSuffix(".json") }
    #expect(!names.isEmpty && names.count == AdaDecThreshold.known.count)
    for name in names {
      let learnt = try AdaDecThreshold(contentsOf: folder.appending(path: name))
      let known = try #require(AdaDecThreshold.known(modelBytes: learnt.modelBytes))
      #expect(known.model == learnt.model && known.threshold == learnt.threshold)
      #expect(learnt.areaUnderCurve > 0.8 && learnt.training.license == "MIT")
      #expect(learnt.command.contains("train adadec-threshold"))
    }
  }

  @Test("predictions are those of reading the text token by token")
  func predictions() async throws {
    let toy = try ToyModel(letters: 20, seed: 3)
    let generator = try toy.makeGenerator()
    var random = SeededGenerator(seed: 2)
    let tokens = (0..<90).map { _ in Int32(random.next() % 20) }
    for first in [1, 5, 50, 89] {
      let found = try await generator.predictions(of: tokens, from: first)
      let engine = try toy.makeEngine()
      var meter = TokenEntropy(vocabularyCount: toy.vocabularyCount)
      for (index, step) in found.enumerated() {
        let cache = engine.makeCache()
        let logits = try engine.prefill(tokens[..<(first + index)], into: cache).logits(0)
        let right = tokens[first + index]
        #expect(step.entropy == (try meter.nats(logits, position: 0)))
        #expect(step.rank == logits.count { $0 > logits[Int(right)] })
        cache.release()
      }
      #expect(found.count == 90 - first)
    }
    #expect(try await generator.predictions(of: [1], from: 1).isEmpty)
    #expect(await generator.usedPages == 0)
  }
}
