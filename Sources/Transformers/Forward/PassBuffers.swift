import CKernels
import Compute

/// Memory of an engine's passes. Grows to the largest pass seen, never shrinks.
struct PassBuffers {
  let configuration: ModelConfiguration
  let buffers: UnsafeMutableBufferPointer<UnsafeMutablePointer<Float>?>
  let strides: UnsafeMutableBufferPointer<Int>
  let activations: UnsafeMutableBufferPointer<ft_activations>
  let ropeTables: UnsafeMutableBufferPointer<UnsafeMutablePointer<Float>?>
  let scratch: AlignedBuffer
  private(set) var partials: AlignedBuffer?
  private var storage: [AlignedBuffer?]
  private var activationStorage: [AlignedBuffer?]
  private var ropeStorage: [AlignedBuffer?]
  private var capacities: [Int]
  private var activationCapacities: [Int]
  private var ropeCapacity = 0

  static let maximumTaps = 100
  private static let count = PassBuffer.allCases.count + maximumTaps

  init(_ configuration: ModelConfiguration, scratchBytes: Int) throws(ForwardError) {
    self.configuration = configuration
    buffers = .allocate(capacity: Self.count)
    buffers.initialize(repeating: nil)
    strides = .allocate(capacity: Self.count)
    strides.initialize(repeating: configuration.hiddenSize)
    for buffer in PassBuffer.allCases {
      strides[Int(buffer.rawValue)] = buffer.columns(configuration)
    }
    activations = .allocate(capacity: PassActivations.allCases.count)
    activations.initialize(repeating: ft_activations())
    ropeTables = .allocate(capacity: 2)
    ropeTables.initialize(repeating: nil)
    storage = Array(repeating: nil, count: Self.count)
    capacities = Array(repeating: 0, count: Self.count)
    activationStorage = Array(repeating: nil, count: PassActivations.allCases.count)
    activationCapacities = Array(repeating: 0, count: PassActivations.allCases.count)
    ropeStorage = [nil, nil]
    scratch = try Self.allocate(scratchBytes)
  }

  func deallocate() {
    buffers.deallocate()
    strides.deallocate()
    activations.deallocate()
    ropeTables.deallocate()
  }

  private static func allocate(_ bytes: Int) throws(ForwardError) -> AlignedBuffer {
    do { return try AlignedBuffer(count: bytes) } catch { throw .outOfMemory(bytes: bytes) }
  }

  /// Room for a pass of `rows` rows, `selected` of them with logits, and `taps` taps.
  mutating func reserve(rows: Int, selected: Int, taps: Int) throws(ForwardError) {
    for buffer in PassBuffer.allCases {
      try reserve(Int(buffer.rawValue), rows: buffer.isSelected ? selected : rows)
    }
    for tap in 0..<taps { try reserve(Int(PassBuffer.firstTap) + tap, rows: rows) }
    for kind in PassActivations.allCases {
      try reserve(kind, rows: kind == .selected ? selected : rows)
    }
    try reserveRopes(rows: rows)
  }

  private mutating func reserve(_ index: Int, rows: Int) throws(ForwardError) {
    guard rows > capacities[index] else { return }
    let bytes = rows * strides[index] * MemoryLayout<Float>.stride
    storage[index] = nil
    let memory = try Self.allocate(bytes)
    storage[index] = memory
    buffers[index] = memory.floats
    capacities[index] = rows
  }

  private mutating func reserve(_ kind: PassActivations, rows: Int) throws(ForwardError) {
    let index = Int(kind.rawValue)
    guard rows > activationCapacities[index] else { return }
    let columns = Int32(kind.columns(configuration))
    activationStorage[index] = nil
    let memory = try Self.allocate(ft_activations_bytes(columns, Int32(rows)))
    activationStorage[index] = memory
    ft_activations_init(&activations[index], memory.base, columns, Int32(rows))
    activationCapacities[index] = rows
  }

  private mutating func reserveRopes(rows: Int) throws(ForwardError) {
    guard rows > ropeCapacity else { return }
    for table in 0..<2 {
      ropeStorage[table] = nil
      let memory = try Self.allocate(
        rows * configuration.ropeDimension * MemoryLayout<Float>.stride)
      ropeStorage[table] = memory
      ropeTables[table] = memory.floats
    }
    ropeCapacity = rows
  }

  /// Room for partial attention sums; nothing if it is there already.
  mutating func reservePartials(floats: Int) throws(ForwardError) {
    let bytes = floats * MemoryLayout<Float>.stride
    if let partials, partials.count >= bytes { return }
    partials = nil
    partials = try Self.allocate(bytes)
  }
}
