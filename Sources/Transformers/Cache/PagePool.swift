import CKernels
import Compute

/// Pages of key/value memory shared by the sequences of one engine: reference counted, copied when
/// one of several owners writes.
///
/// A page holds `slots` positions of all layers. Not thread-safe: it belongs to its engine.
final class PagePool {
  static let slots = Int(FT_PAGE_SLOTS)

  let shape: ft_attention_shape
  let layerCount: Int
  let pageBytes: Int
  private var pages: [AlignedBuffer] = []
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
    pageBytes = shape.page_layer_stride * c.layerCount
  }

  /// Pages in use.
  var usedPages: Int { pages.count - free.count }

  func allocate() throws(ForwardError) -> Int {
    if let page = free.popLast() {
      references[page] = 1
      return page
    }
    do { pages.append(try AlignedBuffer(count: pageBytes)) } catch {
      throw .outOfMemory(bytes: pageBytes)
    }
    references.append(1)
    return pages.count - 1
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
    pages[new].base.copyMemory(from: pages[page].base, byteCount: pageBytes)
    return new
  }

  func address(_ page: Int) -> UnsafeMutablePointer<UInt8> {
    pages[page].base.assumingMemoryBound(to: UInt8.self)
  }
}
