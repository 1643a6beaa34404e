/// Place and shape of one tensor of a GGUF file.
public struct GGUFTensor: Sendable, Equatable {
  /// Name, unique in the file.
  public let name: String
  /// Storage type of the elements.
  public let type: ElementType
  /// Dimensions in the file's order: the first one is contiguous in memory (the row length).
  public let shape: [Int]
  /// Bytes from the start of the file.
  public let offset: Int
  /// Bytes of the elements; nil if the type number is not known at all.
  public let byteCount: Int?

  /// Elements of one row (the first dimension; 1 for a scalar).
  public var rowLength: Int { shape.first ?? 1 }
  /// Rows: the product of all dimensions but the first.
  public var rows: Int { shape.dropFirst().reduce(1, *) }
  /// All elements.
  public var count: Int { rowLength * rows }

  /// Bytes of one row; nil if the type number is not known at all.
  public var rowBytes: Int? { byteCount.map { $0 / max(rows, 1) } }

  /// The range of the file that holds the elements; empty if the type is not known at all.
  public var range: Range<Int> { offset..<offset + (byteCount ?? 0) }
}
