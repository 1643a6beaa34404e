/// Storage type of a safetensors tensor's elements; the raw value is the format's name for it.
public enum SafetensorsType: String, Sendable, CaseIterable {
  case float64 = "F64"
  case float32 = "F32"
  case float16 = "F16"
  case bfloat16 = "BF16"
  case int64 = "I64"
  case int32 = "I32"
  case int16 = "I16"
  case int8 = "I8"
  case uint8 = "U8"
  case bool = "BOOL"

  /// Bytes of one element.
  public var byteCount: Int {
    switch self {
    case .float64, .int64: 8
    case .float32, .int32: 4
    case .float16, .bfloat16, .int16: 2
    case .int8, .uint8, .bool: 1
    }
  }
}

/// Place and shape of one tensor of a safetensors file.
public struct SafetensorsTensor: Sendable, Equatable {
  /// Name, unique in the file.
  public let name: String
  /// Storage type of the elements.
  public let type: SafetensorsType
  /// Dimensions, the last one contiguous; empty for a scalar.
  public let shape: [Int]
  /// The elements' bytes, from the start of the file.
  public let range: Range<Int>

  /// Elements in all.
  public var count: Int { shape.reduce(1, *) }
}
