import CKernels
import Compute

/// Pages of key/value memory shared by the sequences of one engine: reference counted, copied when
/// one of several owners writes. Memory is taken in slabs of several pages, which the system may back
/// with huge pages.
///
/// A page holds `slots` positions of all layers. Not thread-safe: it belongs to its engine.
final class PagePool {
  static let slots = Int(FT_PAGE_SLOTS)

  let shape: ft_attention_shape
  let layerCount: Int
  let pageBytes: Int
  private let pagesPerSlab: Int
  private var slabs: [AlignedBuffer] = []
  private var references: [Int] = []
  private var free: [Int] = []

  init(_ c: ModelConfiguration, kv: KVType) {
    let headBytes = ft_kv_head_bytes(kv.kernelType, Int32(c.headDimension))
    var shape = ft_attention_shape()
    shape.heads = Int32(c.headCount)
    shape.kv_heads = Int32(c.keyValueHeadCount)
    shape.head_dimension = Int32(c.headDimension)
    shape.rope_dimension = Int32(c.ropeDimension)
    shape.rope_interleaved = c.ropeIsInterleaved
    shape.kv_type = kv.kernelType
    shape.page_head_stride = headBytes
    shape.page_layer_stride = headBytes * c.keyValueHeadCount
    self.shape = shape
    layerCount = c.layerCount
    pageBytes = (shape.page_layer_stride * c.layerCount + 63) / 64 * 64
    pagesPerSlab = max(1, min(64, Self.slabBytes / pageBytes))
  }

  private static let slabBytes = 8 << 20

  /// Pages in use.
  var usedPages: Int { references.count - free.count }

  func allocate() throws(ForwardError) -> Int {
    if free.isEmpty { try addSlab() }
    let page = free.removeLast()
    references[page] = 1
    return page
  }

  private func addSlab() throws(ForwardError) {
    let bytes = pageBytes * pagesPerSlab
    do { slabs.append(try AlignedBuffer(count: bytes, zeroed: false)) } catch {
      throw .outOfMemory(bytes: bytes)
    }
    let first = references.count
    references += Array(repeating: 0, count: pagesPerSlab)
    free += (first..<first + pagesPerSlab).reversed()
  }

  func retain(_ page: Int) { references[page] += 1 }

  func release(_ page: Int) {
    references[page] -= 1
    if references[page] == 0 { free.append(page) }
  }

  func isShared(_ page: Int) -> Bool { references[page] > 1 }
  func referenceCount(_ page: Int) -> Int { references[page] }

  func copy(_ page: Int) throws(ForwardError) -> Int {
    let new = try allocate()
    address(new).update(from: address(page), count: pageBytes)
    return new
  }

  func address(_ page: Int) -> UnsafeMutablePointer<UInt8> {
    slabs[page / pagesPerSlab].base.assumingMemoryBound(to: UInt8.self)
      + page % pagesPerSlab * pageBytes
  }
}
