import Compute

/// A part of a network that has parameters.
public protocol Module {
  /// Parameters with names that are unique in the module, in a fixed order.
  var parameters: [Parameter] { get }
}

/// A named tensor that is learnt.
public struct Parameter {
  /// Name, with the names of the modules around it in front: `blocks.0.attention.query.weight`.
  public let name: String
  /// The values.
  public let tensor: Tensor
  /// Whether weight decay applies: to matrices, not to gains and biases.
  public let decays: Bool

  /// A parameter; decays by default if it has two dimensions or more.
  public init(_ name: String, _ tensor: Tensor, decays: Bool? = nil) {
    self.name = name
    self.tensor = tensor
    self.decays = decays ?? (tensor.rank >= 2)
  }
}

extension Array where Element == Parameter {
  /// The same with `prefix` and a full stop before the names.
  public func named(_ prefix: String) -> [Parameter] {
    map { Parameter("\(prefix).\($0.name)", $0.tensor, decays: $0.decays) }
  }

  /// Number of values in all.
  public var valueCount: Int { reduce(0) { $0 + $1.tensor.count } }

  /// Forgets all gradients.
  public func clearGradients() { for parameter in self { parameter.tensor.gradient = nil } }
}

/// First values of parameters, a function of a seed and of the order in which they are asked for.
public struct Initializer {
  private let stream: RandomStream
  private var place = 0

  /// The initializer of `seed`.
  public init(seed: UInt64) { stream = RandomStream(seed: seed, purpose: .initialization) }

  /// A parameter of normal values (Box-Muller).
  public mutating func normal(_ shape: [Int], deviation: Float) -> Tensor {
    let count = shape.reduce(1, *)
    var values: [Float] = []
    values.reserveCapacity(count)
    for index in 0..<count {
      let radius = (-2 * ElementaryFunctions.log(stream.uniform(position: place, token: 2 * index)))
        .squareRoot()
      let turn = stream.uniform(position: place, token: 2 * index + 1)
      values.append(Float(radius * cosine(turn)) * deviation)
    }
    place += 1
    return Tensor(values, shape: shape, requiresGradient: true)
  }

  /// A parameter of values spread evenly over -bound...bound.
  public mutating func uniform(_ shape: [Int], bound: Float) -> Tensor {
    let values = (0..<shape.reduce(1, *)).map {
      (2 * Float(stream.uniform(position: place, token: $0)) - 1) * bound
    }
    place += 1
    return Tensor(values, shape: shape, requiresGradient: true)
  }
}
