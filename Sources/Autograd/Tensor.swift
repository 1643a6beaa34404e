/// A dense array of 32-bit floats that remembers how it was made, so that `backward()` can find the
/// gradient of a scalar with respect to every parameter that it came from.
///
/// Values are in row-major order. Every operation makes a new tensor that keeps its inputs alive; the
/// graph is gone when its last result is. Tensors that need no gradient keep no inputs, so that
/// frozen parts of a network cost nothing.
///
/// Shapes are the caller's responsibility: an operation on shapes that do not fit is a mistake in the
/// program and stops it with a message that names both. Not Sendable: use a graph from one thread.
public final class Tensor {
  /// Size of each dimension, the last one contiguous; empty for a scalar.
  public let shape: [Int]
  /// The values, in row-major order. Change those of leaves only, and not between an operation and
  /// the `backward()` that goes through it.
  public var values: [Float]
  /// Gradient of the last `backward()` calls, summed; nil where none arrived. Only leaves keep theirs.
  public var gradient: [Float]?
  /// Whether `backward()` gives it a gradient.
  public let requiresGradient: Bool

  let inputs: [Tensor]
  private let pullback: (([Float]) -> Void)?

  /// A leaf: data, or a parameter if `requiresGradient`.
  ///
  /// - Precondition: `values` has as many elements as `shape` says.
  public init(_ values: [Float], shape: [Int], requiresGradient: Bool = false) {
    require(
      values.count == shape.reduce(1, *) && shape.allSatisfy { $0 >= 0 },
      "\(values.count) values for a tensor of shape \(shape)")
    self.values = values
    self.shape = shape
    self.requiresGradient = requiresGradient
    inputs = []
    pullback = nil
  }

  /// A scalar.
  public convenience init(_ value: Float) { self.init([value], shape: []) }

  /// The result of an operation.
  ///
  /// - Parameter pullback: takes the gradient of the result and adds to those of `inputs`, of which
  ///   it may skip any that need none.
  init(_ values: [Float], shape: [Int], inputs: [Tensor], pullback: @escaping ([Float]) -> Void) {
    require(values.count == shape.reduce(1, *), "\(values.count) values for \(shape)")
    self.values = values
    self.shape = shape
    requiresGradient = inputs.contains(where: \.requiresGradient)
    self.inputs = requiresGradient ? inputs : []
    self.pullback = requiresGradient ? pullback : nil
  }

  /// Zeros.
  public static func zeros(_ shape: [Int], requiresGradient: Bool = false) -> Tensor {
    Tensor(
      [Float](repeating: 0, count: shape.reduce(1, *)), shape: shape,
      requiresGradient: requiresGradient)
  }

  /// One value everywhere.
  public static func filled(
    _ value: Float, _ shape: [Int], requiresGradient: Bool = false
  ) -> Tensor {
    Tensor(
      [Float](repeating: value, count: shape.reduce(1, *)), shape: shape,
      requiresGradient: requiresGradient)
  }

  /// Number of values.
  public var count: Int { values.count }
  /// Number of dimensions.
  public var rank: Int { shape.count }
  /// Size of the last dimension; 1 for a scalar.
  public var lastSize: Int { shape.last ?? 1 }
  /// Number of vectors along the last dimension.
  public var rowCount: Int { lastSize == 0 ? 0 : count / lastSize }

  /// The value of a tensor that has one.
  public var scalar: Float {
    require(count == 1, "a tensor of shape \(shape) has no single value")
    return values[0]
  }

  /// The same values without a history.
  public func detached() -> Tensor { Tensor(values, shape: shape) }

  // MARK: - Gradients

  /// Adds the gradient of this tensor to those of all leaves that it came from.
  ///
  /// Gradients of several calls add up until `gradient` is set to nil, which is how gradients of
  /// several batches are accumulated.
  ///
  /// - Parameter seed: gradient of the final value with respect to this tensor; 1 for a scalar.
  /// - Complexity: a small multiple of the forward pass.
  public func backward(_ seed: [Float]? = nil) {
    require(seed != nil || count == 1, "backward() from shape \(shape) needs a gradient to start")
    require(
      seed == nil || seed?.count == count, "a gradient for shape \(shape) has \(count) values")
    guard requiresGradient else { return }
    accumulate(seed ?? [1])
    for node in topologicalOrder().reversed() {
      guard let pullback = node.pullback, let gradient = node.gradient else { continue }
      node.gradient = nil
      pullback(gradient)
    }
  }

  /// Nodes with their inputs before them.
  private func topologicalOrder() -> [Tensor] {
    var order: [Tensor] = []
    var seen: Set<ObjectIdentifier> = [ObjectIdentifier(self)]
    var stack: [(node: Tensor, next: Int)] = [(self, 0)]
    while let (node, next) = stack.last {
      guard next < node.inputs.count else {
        order.append(node)
        stack.removeLast()
        continue
      }
      stack[stack.count - 1].next += 1
      let input = node.inputs[next]
      if input.requiresGradient, seen.insert(ObjectIdentifier(input)).inserted {
        stack.append((input, 0))
      }
    }
    return order
  }

  /// Adds to the gradient. Does nothing where none is needed.
  func accumulate(_ contribution: @autoclosure () -> [Float]) {
    guard requiresGradient else { return }
    let contribution = contribution()
    guard gradient != nil else { return gradient = contribution }
    addToGradient { sum in for index in contribution.indices { sum[index] += contribution[index] } }
  }

  /// Lets `body` add to the gradient in place; zeros at first. Not called where none is needed.
  func addToGradient(_ body: (UnsafeMutablePointer<Float>) -> Void) {
    guard requiresGradient, count > 0 else { return }
    var sum = gradient ?? [Float](repeating: 0, count: count)
    gradient = nil
    sum.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { body(base) } }
    gradient = sum
  }
}

/// Stops the program with a message unless `condition` holds: for mistakes in code that builds
/// networks, never for data.
@inline(__always)
func require(_ condition: @autoclosure () -> Bool, _ message: @autoclosure () -> String) {
  precondition(condition(), message())
}

/// An array whose elements `body` writes, all of them.
@inline(__always)
func makeArray(_ count: Int, _ body: (UnsafeMutableBufferPointer<Float>) -> Void) -> [Float] {
  [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
    body(UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
    initialized = count
  }
}
