import ArgumentParser

/// Rows and columns of a weight matrix.
struct MatrixShape: Hashable, CustomStringConvertible {
  let rows: Int
  let columns: Int

  var description: String { "\(rows) × \(columns)" }

  /// Reads `8960x1536`; nil if it is nothing of the kind.
  init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
    guard parts.count == 2, let rows = parts[0], let columns = parts[1],
      Self.limits.contains(rows), Self.limits.contains(columns)
    else { return nil }
    self.init(rows, columns)
  }

  init(_ rows: Int, _ columns: Int) {
    self.rows = rows
    self.columns = columns
  }

  private static let limits = 1...1_000_000
}

/// Which matrices are measured.
enum ShapeSelection: ExpressibleByArgument {
  /// The feed-forward matrix of the 1.5 B model.
  case quick
  /// Every distinct matrix of the four models.
  case all
  /// These.
  case list([MatrixShape])

  init?(argument: String) {
    switch argument {
    case "quick": self = .quick
    case "all": self = .all
    default:
      let shapes = argument.split(separator: ",").map { MatrixShape($0) }
      guard !shapes.isEmpty, shapes.allSatisfy({ $0 != nil }) else { return nil }
      self = .list(shapes.compactMap(\.self))
    }
  }

  var defaultValueDescription: String { "quick" }

  var shapes: [MatrixShape] {
    switch self {
    case .quick: [Self.feedForward]
    case .all: Self.models
    case .list(let shapes): shapes
    }
  }

  private static let feedForward = MatrixShape(8960, 1536)

  /// Queries (and attention output), keys and values, gate and up, down, head; of SmolLM2 135M,
  /// Gemma 3 270M, Qwen2.5 Coder 0.5B and 1.5B.
  private static let models = [
    MatrixShape(576, 576), MatrixShape(192, 576), MatrixShape(1536, 576), MatrixShape(576, 1536),
    MatrixShape(49152, 576),
    MatrixShape(1024, 640), MatrixShape(640, 1024), MatrixShape(256, 640), MatrixShape(2048, 640),
    MatrixShape(640, 2048), MatrixShape(262144, 640),
    MatrixShape(896, 896), MatrixShape(128, 896), MatrixShape(4864, 896), MatrixShape(896, 4864),
    MatrixShape(151936, 896),
    MatrixShape(1536, 1536), MatrixShape(256, 1536), feedForward, MatrixShape(1536, 8960),
    MatrixShape(151936, 1536),
  ]
}

/// Numbers of rows, such as `1,2,4`.
struct BatchList: ExpressibleByArgument {
  let batches: [Int]
  static let standard = BatchList([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 512])

  init?(argument: String) {
    let numbers = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
    guard !numbers.isEmpty, numbers.allSatisfy({ $0.map((1...512).contains) ?? false })
    else { return nil }
    self.init(numbers.compactMap(\.self))
  }

  private init(_ batches: [Int]) {
    // 1 is what all others are compared with.
    self.batches = Array(Set(batches + [1])).sorted()
  }

  var defaultValueDescription: String { batches.map(String.init).joined(separator: ",") }
}
