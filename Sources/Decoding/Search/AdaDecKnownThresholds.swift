extension AdaDecThreshold {
  /// A threshold that comes with the project; the files in `Artifacts` say how it was learnt.
  struct Known: Sendable {
    let model: String
    let modelBytes: Int
    let threshold: Double
  }

  /// Thresholds for models of the catalogue.
  static let known: [Known] = []

  /// The threshold for a model, by the size of its file; nil if none was learnt.
  static func known(modelBytes: Int) -> Known? { known.first { $0.modelBytes == modelBytes } }
}
