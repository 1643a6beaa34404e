import Foundation

#if canImport(CryptoKit)
  import CryptoKit
#else
  import CCrypto
#endif

/// SHA-256 of bytes that arrive in pieces.
struct SHA256Digest: ~Copyable {
  #if canImport(CryptoKit)
    private var hash = SHA256()

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
      hash.update(bufferPointer: bytes)
    }

    /// The digest as 64 lower-case hexadecimal digits.
    consuming func hexadecimal() -> String {
      hash.finalize().map { String(format: "%02x", $0) }.joined()
    }
  #else
    private let context: OpaquePointer?

    init() {
      context = EVP_MD_CTX_new()
      EVP_DigestInit_ex(context, EVP_sha256(), nil)
    }

    deinit { EVP_MD_CTX_free(context) }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
      EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
    }

    /// The digest as 64 lower-case hexadecimal digits.
    consuming func hexadecimal() -> String {
      var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
      var length: UInt32 = 0
      EVP_DigestFinal_ex(context, &digest, &length)
      return digest.prefix(Int(length)).map { String(format: "%02x", $0) }.joined()
    }
  #endif

  /// The digest of `range` of the file at `path` (all of it if nil), read in pieces; `progress` is
  /// called with the bytes of each piece. A range that reaches beyond the end counts up to the end.
  static func ofFile(
    _ path: String, range: Range<Int>? = nil, progress: (Int) -> Void = { _ in }
  ) throws -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw StoreError.system(path, "cannot be opened") }
    defer { close(descriptor) }
    var digest = SHA256Digest()
    var offset = range?.lowerBound ?? 0
    let end = range?.upperBound ?? Int.max
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while offset < end {
      try Task.checkCancellation()
      let count = buffer.withUnsafeMutableBytes { bytes in
        let count = pread(
          descriptor, bytes.baseAddress, min(bytes.count, end - offset), off_t(offset))
        if count > 0 { digest.update(UnsafeRawBufferPointer(rebasing: bytes[..<count])) }
        return count
      }
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw StoreError.system(path, "cannot be read") }
      if count == 0 { break }
      offset += count
      progress(count)
    }
    return digest.hexadecimal()
  }
}
