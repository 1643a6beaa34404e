import Autograd
import Compute
import Decoding

/// Draft heads while they are trained.
///
/// Head k of Medusa makes h + up · SiLU(down · h + bias) of the hidden state h, and of Hydra takes h
/// and the embeddings of the k + 1 tokens after it instead of h inside. `up` begins at zero, so that
/// an untrained head says what the model says of the next token.
public struct DraftHeadsModel {
  /// `medusa` or `hydra`.
  public let method: String
  /// Size of hidden states.
  public let hiddenSize: Int
  /// Size of the heads' hidden layers.
  public let rank: Int
  /// Down and up of each head.
  let heads: [(down: Linear, up: Linear)]

  /// Untrained heads.
  public init(method: String, hiddenSize: Int, rank: Int, heads: Int, seed: UInt64) {
    self.method = method
    self.hiddenSize = hiddenSize
    self.rank = rank
    var initializer = Initializer(seed: seed)
    self.heads = (0..<heads).map { index in
      let inputs = method == "hydra" ? (index + 2) * hiddenSize : hiddenSize
      return (
        Linear(inputs, rank, bias: true, &initializer),
        Linear(rank, hiddenSize, deviation: 0, &initializer)
      )
    }
  }

  /// Everything that is learnt.
  public var parameters: [Parameter] {
    heads.enumerated().flatMap {
      $1.down.parameters.named("heads.\($0).down") + $1.up.parameters.named("heads.\($0).up")
    }
  }

  /// What the model's head ranks for head `index`: [batch, hiddenSize].
  ///
  /// - Parameters:
  ///   - states: [batch, hiddenSize].
  ///   - embeddings: of the tokens after each state: those of place 0, then of place 1, …, each
  ///     [batch, hiddenSize].
  public func state(_ index: Int, _ states: Tensor, _ embeddings: [Tensor]) -> Tensor {
    let head = heads[index]
    let input =
      method == "hydra"
      ? Tensor.concatenated([states] + embeddings.prefix(index + 1), 1) : states
    return states + head.up(head.down(input).silu())
  }

  /// The weights as the decoder takes them.
  public var weights: [DraftHeadsFile.Head] {
    heads.map {
      DraftHeadsFile.Head(
        down: $0.down.weight.values, bias: $0.down.bias?.values ?? [], up: $0.up.weight.values)
    }
  }
}
