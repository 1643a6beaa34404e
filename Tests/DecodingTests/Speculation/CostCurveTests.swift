import Checkpoints
import Foundation
import TestSupport
import Testing

@testable import Decoding
@testable import Transformers

@Suite struct CostCurveTests {
  private func makeCurve(_ points: [(Int, Double)]) -> CostCurve? {
    CostCurve(points.map { CostCurve.Point(rows: $0.0, microseconds: $0.1) })
  }

  @Test("a curve goes through its points, straight between them, on by the last slope")
  func interpolation() throws {
    let curve = try #require(makeCurve([(1, 100), (4, 160), (8, 280)]))
    #expect(curve.microseconds(rows: 0) == 100)
    #expect(curve.microseconds(rows: 1) == 100)
    #expect(curve.microseconds(rows: 2) == 120)
    #expect(curve.microseconds(rows: 4) == 160)
    #expect(curve.microseconds(rows: 6) == 220)
    #expect(curve.microseconds(rows: 8) == 280)
    #expect(curve.microseconds(rows: 18) == 580)
  }

  @Test("measured nonsense becomes a plausible curve: never falling, never above proportion")
  func plausibility() throws {
    #expect(makeCurve([]) == nil)
    #expect(makeCurve([(0, 5), (3, -1), (4, .nan), (5, .infinity)]) == nil)
    let measured = try #require(
      makeCurve([(8, 90), (1, 100), (2, 900), (4, 120), (2, 950), (16, 400)]))
    var last = 0.0
    for rows in 1...80 {
      let time = measured.microseconds(rows: rows)
      #expect(time >= last)
      #expect(time <= 100 * Double(rows) + 1e-9)
      last = time
    }
    #expect(measured.microseconds(rows: 2) == 200)
    // A single point says nothing of a slope: rows are taken to save nothing.
    #expect(makeCurve([(1, 100)])?.microseconds(rows: 5) == 500)
  }

  /// A machine whose passes take what `truth` says, and which counts what it was asked for.
  private final class Machine {
    let truth: CostCurve
    var spent = 0.0
    var sizes: [Int] = []
    var slowdown: (Int) -> Double = { _ in 1 }

    init(_ truth: CostCurve) { self.truth = truth }

    func pass(_ rows: Int) -> Double {
      sizes.append(rows)
      let time = truth.microseconds(rows: rows) * slowdown(sizes.count)
      spent += time
      return time
    }
  }

  @Test("measuring stays within its time where passes are short, and finds the curve")
  func measuringSmall() {
    let machine = Machine(CostCurve(memory: 2500, fixed: 1000, perRow: 600))
    // The first pass is slow, and now and then a neighbour interrupts.
    machine.slowdown = { $0 == 1 ? 8 : $0 % 5 == 0 ? 1.7 : 1 }
    let found = CostCurve.measure(pass: machine.pass)
    #expect(machine.spent < 300_000)
    #expect(machine.sizes.contains(16))
    for rows in [1, 2, 4, 8, 16] {
      let ratio = found.microseconds(rows: rows) / machine.truth.microseconds(rows: rows)
      #expect((0.99...1.01).contains(ratio), "\(rows): \(ratio)")
    }
  }

  @Test("a large model is measured at two sizes only, and extended by their slope")
  func measuringLarge() {
    let machine = Machine(CostCurve(memory: 200_000, fixed: 100_000, perRow: 50_000))
    let found = CostCurve.measure(pass: machine.pass)
    #expect(machine.sizes == [1, 4])
    #expect(found.points.map(\.rows) == [1, 4])
    #expect(abs(found.microseconds(rows: 10) - 500_000) < 1)
  }

  // MARK: The store

  private func store(_ folder: URL, threads: Int = 2) throws -> CostCurveStore {
    let model = folder.appending(path: "model.gguf")
    if !FileManager.default.fileExists(atPath: model.path) {
      try Data("weights".utf8).write(to: model)
    }
    return CostCurveStore(
      folder: folder.appending(path: "costs"),
      key: CostCurveKey(file: model, threads: threads, kv: .f16))
  }

  @Test("a curve is measured once for a model, machine, thread count and key/value type")
  func stored() throws {
    let folder = try TemporaryFolder()
    let machine = Machine(CostCurve(memory: 2500, fixed: 1000, perRow: 600))
    let own = try store(folder.url)
    #expect(own.load() == nil)
    let first = own.curve(pass: machine.pass)
    #expect(machine.sizes.count > 20)
    #expect(own.load() == first)
    machine.sizes = []
    #expect(own.curve(pass: machine.pass) == first)
    #expect(machine.sizes == [1, 1, 4, 4])
    #expect(try store(folder.url, threads: 1).load() == nil)
    var other = own.key
    other.kv = "q8"
    #expect(CostCurveStore(folder: own.folder, key: other).load() == nil)
    // Another file of the same name is another model.
    try Data("other weights".utf8).write(to: folder.url.appending(path: "model.gguf"))
    #expect(try store(folder.url).load() == nil)
  }

  @Test("a broken, foreign or hostile file is measured anew and replaced")
  func broken() throws {
    let folder = try TemporaryFolder()
    let own = try store(folder.url)
    let machine = Machine(CostCurve(memory: 2500, fixed: 1000, perRow: 600))
    let good = own.curve(pass: machine.pass)
    let text = try String(contentsOf: own.url, encoding: .utf8)
    let hostile = [
      "", "{", "[]", "null", String(text.prefix(text.count / 2)),
      text.replacingOccurrences(of: "\"version\" : 1", with: "\"version\" : 99"),
      text.replacingOccurrences(of: "\"threads\" : 2", with: "\"threads\" : 3"),
      text.replacingOccurrences(of: "\"rows\"", with: "\"lines\""),
      text.replacingOccurrences(
        of: #""curve" : \[[\s\S]*\]"#, with: "\"curve\" : [{\"rows\":-1,\"microseconds\":1}]",
        options: .regularExpression),
      String(repeating: "[", count: 60_000), String(repeating: "x", count: 100_000),
    ]
    for damaged in hostile {
      #expect(damaged != text)
      try Data(damaged.utf8).write(to: own.url)
      #expect(own.load() == nil, "\(damaged.prefix(60))")
      #expect(own.curve(pass: machine.pass) == good)
      #expect(own.load() == good)
    }
  }

  @Test("a stored curve that was measured on a busy machine is measured anew")
  func outdated() throws {
    let folder = try TemporaryFolder()
    let own = try store(folder.url)
    let truth = CostCurve(memory: 2500, fixed: 1000, perRow: 600)
    for believed in [
      CostCurve(memory: 22_000, fixed: 18_000, perRow: 1500),  // the level is off
      CostCurve(memory: 2500, fixed: 1000, perRow: 900),  // rows are too dear
      CostCurve(memory: 2500, fixed: 1000, perRow: 200),  // rows are too cheap
    ] {
      try own.save(believed)
      let machine = Machine(truth)
      let found = own.curve(pass: machine.pass)
      #expect(found != believed)
      #expect(abs(found.microseconds(rows: 4) - 3400) < 1)
      #expect(own.load() == found)
    }
    // A machine that is a little slower today is followed while decoding.
    try own.save(truth)
    let slower = Machine(truth)
    slower.slowdown = { _ in 1.4 }
    #expect(own.curve(pass: slower.pass) == truth)
  }

  @Test("a folder that cannot be written costs a measurement, not the generation")
  func unwritable() throws {
    let folder = try TemporaryFolder()
    try Data().write(to: folder.url.appending(path: "costs"))
    let own = try store(folder.url)
    let machine = Machine(CostCurve(memory: 2500, fixed: 1000, perRow: 600))
    let good = CostCurve.measure(pass: machine.pass)
    #expect(own.curve(pass: machine.pass) == good)
  }

  // MARK: The model of a running machine

  @Test("the cost model follows a slower machine, a growing context and a wrong curve")
  func following() throws {
    let believed = try #require(makeCurve([(1, 1000), (4, 1500), (8, 2500)]))
    let model = CostModel(believed, attention: 0.1)
    #expect(model.microseconds(rows: 1, position: 0) == 1000)
    #expect(model.microseconds(rows: 4, position: 0) == 1500)
    // The truth: 1.4 times slower, four rows dearer than believed, attention on top.
    func truth(_ rows: Int, _ position: Int) -> Double {
      let wrong = rows == 4 ? 1.25 : 1.0
      let attention = 150 * Double(rows + 1) * Double(position) / 1024
      return 1.4 * wrong * believed.microseconds(rows: rows) + attention
    }
    var random = SeededGenerator(seed: 5)
    for position in 0..<1500 {
      let rows = [1, 1, 4, 1, 8][position % 5]
      // A twentieth of the passes is interrupted for a long time.
      let noise = Double(random.unit()) * 0.06 + (random.unit() < 0.05 ? 3 : 0.97)
      model.observe(rows: rows, position: position, microseconds: truth(rows, position) * noise)
    }
    for rows in [1, 4, 8] {
      let ratio = model.microseconds(rows: rows, position: 1500) / truth(rows, 1500)
      #expect((0.93...1.1).contains(ratio), "\(rows): \(ratio)")
    }
    // Sizes that were never run lie between.
    let six = model.microseconds(rows: 6, position: 1500)
    #expect(six > model.microseconds(rows: 4, position: 1500))
    #expect(six < model.microseconds(rows: 8, position: 1500))
  }

  @Test("nonsense times are not learned from")
  func nonsense() {
    let model = CostModel(CostCurve(memory: 10, fixed: 1, perRow: 2))
    for time in [0, -5, Double.nan, .infinity] {
      model.observe(rows: 2, position: 10, microseconds: time)
    }
    model.observe(rows: 0, position: 10, microseconds: 100)
    model.observe(rows: 100_000, position: 10, microseconds: 100)
    #expect(model.microseconds(rows: 2, position: 0) == 10)
  }
}
