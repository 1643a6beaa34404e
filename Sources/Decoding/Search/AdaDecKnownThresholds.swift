extension AdaDecThreshold {
  /// A threshold that comes with the project; the files in `Artifacts` say how it was learnt.
  struct Known: Sendable {
    let model: String
    let modelBytes: Int
    let threshold: Double
  }

  /// Thresholds for models of the catalogue.
  static let known: [Known] = [
    Known(model: "smollm2-135m", modelBytes: 98_362_432, threshold: 1.7594675973552583),
    Known(model: "qwen2.5-coder-0.5b", modelBytes: 491_400_064, threshold: 1.0672681507139339),
  ]

  /// The threshold for a model, by the size of its file; nil if none was learnt.
  static func known(modelBytes: Int) -> Known? { known.first { $0.modelBytes == modelBytes } }
}
