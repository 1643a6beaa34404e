import CKernels

/// How keys and values are stored.
public enum KVType: String, Sendable, CaseIterable, Codable {
  /// 16-bit floats.
  case f16
  /// 32-bit floats.
  case f32
  /// 8-bit integers; per head, a key has one scale for every 32 dimensions and a value has one.
  case q8

  var kernelType: ft_kv_type {
    switch self {
    case .f16: FT_KV_F16
    case .f32: FT_KV_F32
    case .q8: FT_KV_Q8
    }
  }
}
