import CKernels

/// Storage type of a GGUF tensor's elements, by the format's type number. Numbers that this
/// version does not know are kept, so that a file that holds one can still be listed.
public struct ElementType: RawRepresentable, Sendable, Hashable {
  /// Type number of the GGUF format.
  public let rawValue: UInt32

  /// The type with the format's number `rawValue`, known or not.
  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// The type that the kernels call `type`.
  public init(_ type: ft_type) {
    rawValue = UInt32(type.rawValue)
  }

  /// 32-bit floats.
  public static let f32 = ElementType(FT_TYPE_F32)
  /// IEEE 16-bit floats.
  public static let f16 = ElementType(FT_TYPE_F16)
  /// The upper halves of 32-bit floats.
  public static let bf16 = ElementType(FT_TYPE_BF16)
  /// 4-bit blocks of 32 with a scale.
  public static let q4_0 = ElementType(FT_TYPE_Q4_0)
  /// 4-bit blocks of 32 with a scale and a minimum.
  public static let q4_1 = ElementType(FT_TYPE_Q4_1)
  /// 5-bit blocks of 32 with a scale.
  public static let q5_0 = ElementType(FT_TYPE_Q5_0)
  /// 5-bit blocks of 32 with a scale and a minimum.
  public static let q5_1 = ElementType(FT_TYPE_Q5_1)
  /// 8-bit blocks of 32 with a scale.
  public static let q8_0 = ElementType(FT_TYPE_Q8_0)
  /// 2-bit blocks of 256 in 16 groups.
  public static let q2_K = ElementType(FT_TYPE_Q2_K)
  /// 3-bit blocks of 256 in 16 groups.
  public static let q3_K = ElementType(FT_TYPE_Q3_K)
  /// 4-bit blocks of 256 in 8 groups.
  public static let q4_K = ElementType(FT_TYPE_Q4_K)
  /// 5-bit blocks of 256 in 8 groups.
  public static let q5_K = ElementType(FT_TYPE_Q5_K)
  /// 6-bit blocks of 256 in 16 groups.
  public static let q6_K = ElementType(FT_TYPE_Q6_K)
  /// 4-bit codes of a fixed non-linear table, blocks of 32 with a scale.
  public static let iq4_NL = ElementType(FT_TYPE_IQ4_NL)

  /// The types whose values can be read, in the order of their numbers.
  public static let supported: [ElementType] = [
    f32, f16, q4_0, q4_1, q5_0, q5_1, q8_0, q2_K, q3_K, q4_K, q5_K, q6_K, iq4_NL, bf16,
  ]

  /// Name and block layout of every type of the format, supported or not.
  private struct Layout {
    let name: String
    let elements: Int
    let bytes: Int
  }

  private static let layouts: [UInt32: Layout] = [
    0: Layout(name: "F32", elements: 1, bytes: 4),
    1: Layout(name: "F16", elements: 1, bytes: 2),
    2: Layout(name: "Q4_0", elements: 32, bytes: 18),
    3: Layout(name: "Q4_1", elements: 32, bytes: 20),
    6: Layout(name: "Q5_0", elements: 32, bytes: 22),
    7: Layout(name: "Q5_1", elements: 32, bytes: 24),
    8: Layout(name: "Q8_0", elements: 32, bytes: 34),
    9: Layout(name: "Q8_1", elements: 32, bytes: 36),
    10: Layout(name: "Q2_K", elements: 256, bytes: 84),
    11: Layout(name: "Q3_K", elements: 256, bytes: 110),
    12: Layout(name: "Q4_K", elements: 256, bytes: 144),
    13: Layout(name: "Q5_K", elements: 256, bytes: 176),
    14: Layout(name: "Q6_K", elements: 256, bytes: 210),
    15: Layout(name: "Q8_K", elements: 256, bytes: 292),
    16: Layout(name: "IQ2_XXS", elements: 256, bytes: 66),
    17: Layout(name: "IQ2_XS", elements: 256, bytes: 74),
    18: Layout(name: "IQ3_XXS", elements: 256, bytes: 98),
    19: Layout(name: "IQ1_S", elements: 256, bytes: 50),
    20: Layout(name: "IQ4_NL", elements: 32, bytes: 18),
    21: Layout(name: "IQ3_S", elements: 256, bytes: 110),
    22: Layout(name: "IQ2_S", elements: 256, bytes: 82),
    23: Layout(name: "IQ4_XS", elements: 256, bytes: 136),
    24: Layout(name: "I8", elements: 1, bytes: 1),
    25: Layout(name: "I16", elements: 1, bytes: 2),
    26: Layout(name: "I32", elements: 1, bytes: 4),
    27: Layout(name: "I64", elements: 1, bytes: 8),
    28: Layout(name: "F64", elements: 1, bytes: 8),
    29: Layout(name: "IQ1_M", elements: 256, bytes: 56),
    30: Layout(name: "BF16", elements: 1, bytes: 2),
    34: Layout(name: "TQ1_0", elements: 256, bytes: 54),
    35: Layout(name: "TQ2_0", elements: 256, bytes: 66),
    39: Layout(name: "MXFP4", elements: 32, bytes: 17),
  ]

  /// The kernels' name for this type; nil if its values cannot be read.
  public var kernelType: ft_type? {
    guard isSupported else { return nil }
    return ft_type(rawValue: numericCast(rawValue))
  }

  /// True if its values can be read.
  public var isSupported: Bool { Self.supported.contains(self) }

  /// Elements of one block; nil for a type number that is not known at all.
  public var blockElements: Int? { Self.layouts[rawValue]?.elements }

  /// Bytes of one block; nil for a type number that is not known at all.
  public var blockBytes: Int? { Self.layouts[rawValue]?.bytes }
}

extension ElementType: CustomStringConvertible {
  /// The field's name, such as `Q4_K`.
  public var description: String { Self.layouts[rawValue]?.name ?? "type \(rawValue)" }
}
